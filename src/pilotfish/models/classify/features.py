"""What a linear head stands on: TF-IDF counts, an encoder's vectors, static ones distilled from it, a learnt bag's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import DataError, ModelError
from pilotfish.models.classify._static import distilled
from pilotfish.models.classify.bag import BagFeatures
from pilotfish.models.classify.ngrams import NgramFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

Progress = Callable[[int], None]
OWN = "encoder"  # the folder of an encoder whose weights are the classifier's own
_READ_BY: dict[str, Any] = {"encoder": Encoder, "local": LocalModel, "reader": Reader}


class Features(Protocol):
    """Texts to features; `fit` learns from training texts only, `transform` maps any."""

    kind: str

    def fit(self, texts: Sequence[str]) -> Features:
        """Learn what there is to learn and return self."""

    def transform(self, texts: Sequence[str], *, progress: Progress | None = None) -> Any:
        """Return (texts, features), dense or scipy sparse."""

    def save(self, folder: Path) -> None:
        """Write what `load_features` reads."""


class TfidfFeatures:
    """TF-IDF of words and word pairs, sublinear counts, L2-normalised rows (scikit-learn's TfidfVectorizer)."""

    kind = "tfidf"

    def __init__(self, ngrams: tuple[int, int] = (1, 2)) -> None:
        self.ngrams = ngrams

    def fit(self, texts: Sequence[str]) -> TfidfFeatures:
        """Learn the vocabulary and the document frequencies.

        Raises:
            DataError: the texts have no words.
        """
        try:
            self.vectorizer_: Any = self._new().fit(texts)
        except ValueError as error:
            raise DataError(f"TF-IDF finds no words in the {len(texts)} training texts") from error
        return self

    def _new(self, **settings: Any) -> Any:
        text = need("sklearn.feature_extraction.text", "train")
        # Every character run counts as a word, so that scripts without spaces and one-letter words are not lost.
        words = r"(?u)\b\w+\b"
        return text.TfidfVectorizer(ngram_range=self.ngrams, sublinear_tf=True, token_pattern=words, **settings)

    def transform(self, texts: Sequence[str], *, progress: Progress | None = None) -> Any:
        """Return a sparse (texts, vocabulary) matrix."""
        matrix = self.vectorizer_.transform(texts)
        if progress:
            progress(len(texts))
        return matrix

    def save(self, folder: Path) -> None:
        """Write tfidf.json and tfidf.safetensors."""
        numpy_files = need("safetensors.numpy", "local")
        folder.mkdir(parents=True, exist_ok=True)
        words = {word: int(i) for word, i in self.vectorizer_.vocabulary_.items()}
        facts = {"ngrams": list(self.ngrams), "vocabulary": words}
        (folder / "tfidf.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")
        numpy_files.save_file({"idf": self.vectorizer_.idf_.astype(np.float64)}, folder / "tfidf.safetensors")

    @classmethod
    def load(cls, folder: Path) -> TfidfFeatures:
        """Read what `save` wrote."""
        numpy_files = need("safetensors.numpy", "local")
        facts = json.loads((folder / "tfidf.json").read_text(encoding="utf-8"))
        features = cls((int(facts["ngrams"][0]), int(facts["ngrams"][1])))
        features.vectorizer_ = features._new(vocabulary=facts["vocabulary"])
        features.vectorizer_.idf_ = numpy_files.load_file(folder / "tfidf.safetensors")["idf"]
        return features


class EncoderFeatures:
    """An encoder's sentence vectors; or a local language model's last hidden states, averaged over the tokens.

    Of a language model a `Reader` gives the same faster. A text that is too long is cut at its end.

    Args:
        encoder: what reads the texts.
        own: whether an `Encoder`'s weights were taught for this, so that they are saved too; else they are named.
    """

    kind = "encoder"

    def __init__(self, encoder: Encoder | LocalModel | Reader, *, own: bool = False) -> None:
        self.encoder, self.own = encoder, own

    def fit(self, texts: Sequence[str]) -> EncoderFeatures:
        """Return self: there is nothing to learn."""
        return self

    def transform(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (texts, dimension)."""
        if isinstance(self.encoder, Encoder):
            return self.encoder.encode(texts, progress=progress)
        pooled = self.encoder.pooled(texts, progress=progress)
        # Length one, as sentence encoders give: the head's penalty then means the same for both.
        lengths: NDArray[np.float32] = np.linalg.norm(pooled, axis=1, keepdims=True)
        return np.divide(pooled, np.maximum(lengths, 1e-12), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write encoder.json: the encoder's weights are named, not copied; those in this very folder by their place."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = self.encoder.weights
        if self.own:
            assert isinstance(self.encoder, Encoder)
            if Path(weights).resolve() != (folder / OWN).resolve():
                shutil.rmtree(folder / OWN, ignore_errors=True)
            self.encoder.model.save(str(folder / OWN), create_model_card=False)
            weights = OWN
        elif Path(weights).exists():
            path, own = Path(weights).resolve(), folder.resolve()
            weights = str(path.relative_to(own) if own in path.parents else path)
        facts = {
            "weights": weights,
            "dtype": self.encoder.dtype,
            "use": next(name for name, kind in _READ_BY.items() if isinstance(self.encoder, kind)),
        }
        (folder / "encoder.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, catalog: Catalog | None = None) -> EncoderFeatures:
        """Read what `save` wrote; the weights load at the first use."""
        facts = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        kind = _READ_BY[facts["use"]]
        inside = folder / facts["weights"]
        weights = str(inside if inside.is_dir() else facts["weights"])
        own = facts["weights"] == OWN and inside.is_dir()
        return cls(kind(weights, dtype=facts["dtype"], catalog=catalog), own=own)


class StaticFeatures:
    """Static token vectors distilled from an encoder and averaged (model2vec; Tulkens and van Dongen 2024).

    Distilling runs the encoder once over its own vocabulary; after that a text needs no transformer at all.

    Args:
        encoder: what to distil from; None for one that is loaded.
        dimension: principal components kept of the encoder's vectors.
    """

    kind = "static"

    def __init__(self, encoder: Encoder | None, dimension: int = 256) -> None:
        self.encoder = encoder
        self.dimension = dimension

    def fit(self, texts: Sequence[str]) -> StaticFeatures:
        """Distil the encoder, unless that was done before; the texts are not looked at."""
        if getattr(self, "model_", None) is None:
            if self.encoder is None:
                raise ModelError("static features need an encoder to be distilled from")
            self.model_: Any = distilled(self.encoder, min(self.dimension, self.encoder.dimension))
        return self

    def transform(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (texts, dimension)."""
        if not texts:
            return np.zeros((0, self.model_.dim), dtype=np.float32)
        # In this process: averaging vectors is quick, and starting others is not.
        vectors = self.model_.encode(list(texts), show_progress_bar=False, use_multiprocessing=False)
        if progress:
            progress(len(texts))
        return np.asarray(vectors, dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write the static model's own folder (safetensors and JSON)."""
        (folder / "static").mkdir(parents=True, exist_ok=True)
        self.model_.save_pretrained(folder / "static")

    @classmethod
    def load(cls, folder: Path) -> StaticFeatures:
        """Read what `save` wrote."""
        model = need("model2vec", "train").StaticModel.from_pretrained(folder / "static")
        features = cls(None, int(model.dim))
        features.model_ = model
        return features


def load_features(kind: str, folder: Path, catalog: Catalog | None = None) -> Features:
    """Read saved features of a kind: tfidf, ngrams, encoder, static or bag.

    Raises:
        ModelError: no such kind, or the files are damaged.
    """
    damaged = need("safetensors", "local").SafetensorError
    try:
        if kind == "tfidf":
            return TfidfFeatures.load(folder)
        if kind == "ngrams":
            return NgramFeatures.load(folder)
        if kind == "encoder":
            return EncoderFeatures.load(folder, catalog)
        if kind == "static":
            return StaticFeatures.load(folder)
        if kind == "bag":
            return BagFeatures.load(folder)
    except (OSError, ValueError, LookupError, TypeError, damaged) as error:
        raise ModelError(f"{folder}: not saved {kind} features: {error}") from error
    raise ModelError(f"{folder}: features of an unknown kind {kind!r}; known: tfidf, ngrams, encoder, static, bag")
