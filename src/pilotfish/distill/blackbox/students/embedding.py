"""An embedding student: a small encoder whose vectors come to agree with a larger one's.

Sources: Reimers and Gurevych 2020 (Making Monolingual Sentence Embeddings Multilingual), equation 1: the mean squared
error of vectors; Tung and Mori 2019 (Similarity-Preserving Knowledge Distillation), equations 1 to 4, here on cosines:
the squared difference of the two similarity matrices of a batch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models._weights import identity_of
from pilotfish.models.classify import EncoderFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.rows.split import split
from pilotfish.train.encoding import train
from pilotfish.train.folder import digest
from pilotfish.train.settings import Fit

__all__ = ["EmbeddingStudent", "Nearer", "vector_loss"]

FIT = Fit(epochs=1, batch_tokens=1024, rate=1e-4, decay=0.01, dtype="float32")


@dataclass(frozen=True)
class Nearer:
    """How near the student's vectors came to the teacher's, on texts that taught nothing.

    Attributes:
        texts: learnt from.
        held_out: measured on.
        cosine_before: the mean cosine of the two vectors of a text; None where their lengths differ.
        cosine_after: the same after learning.
        similarity_before: Pearson's correlation of the two models' cosines over all pairs of texts.
        similarity_after: the same after learning.
    """

    texts: int
    held_out: int
    cosine_before: float | None
    cosine_after: float | None
    similarity_before: float
    similarity_after: float


class EmbeddingStudent:
    """An encoder taught another's vectors; saved as a sentence-transformers folder that `Encoder` loads.

    Where the lengths of vectors differ, a learnt projection brings the student's to the teacher's; it stays a part of
    the student. The encoder that is given stays as it is.

    Args:
        encoder: what to start from; `encoder_of_lm` makes one of a language model.
        teacher: whose vectors to learn: an encoder's, or a language model's mean hidden states, of length one.
        cosine: what 1 - cos(student, teacher) counts in a text's loss.
        mse: what the mean squared difference of the entries counts, times the vectors' length, so that it is of the
            cosine's size for vectors of length one.
        similarity: what the mean squared difference of the similarities to a pass's other texts counts.
        fit: how to train; its seed is also that of the projection's first values.
        held_out: the share of texts to measure on.
        folder: where checkpoints lie, so that a killed fit of the same texts goes on; None keeps none.
    """

    def __init__(
        self,
        encoder: Encoder,
        teacher: Encoder | LocalModel,
        *,
        cosine: float = 1.0,
        mse: float = 0.0,
        similarity: float = 1.0,
        fit: Fit = FIT,
        held_out: float = 0.1,
        folder: str | Path | None = None,
    ) -> None:
        self.encoder, self.teacher = encoder, teacher
        self.cosine, self.mse, self.similarity = cosine, mse, similarity
        self.how, self.held_out, self.folder = fit, held_out, folder

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the teacher's vectors of texts; copies of a text count once.

        Raises:
            ConfigError: no loss counts anything, or held_out is no share.
            DataError: fewer than four different texts.
        """
        losses = (self.cosine, self.mse, self.similarity)
        if min(losses) < 0 or not max(losses) > 0 or not 0 < self.held_out < 1:
            raise ConfigError(
                f"each loss counts 0 or more, one of them more, and held_out is a share: {losses}, {self.held_out}"
            )
        unique = list(dict.fromkeys(texts))
        if len(unique) < 4:
            raise DataError(f"an embedding student needs four different texts or more; there are {len(unique)}")
        held_count = min(max(2, round(self.held_out * len(unique))), len(unique) - 2)
        share = held_count / len(unique)
        parts = split(len(unique), {"train": 1 - share, "held_out": share}, self.how.seed)
        learn, held = ([unique[int(i)] for i in parts[name]] for name in ("train", "held_out"))
        torch = need("torch", "train")

        told = EncoderFeatures(self.teacher)
        wanted, held_wanted = (np.asarray(told.transform(some), np.float32) for some in (learn, held))
        before = self.encoder.load().encode(held)
        student = self.encoder.copied()
        if student.dimension != wanted.shape[1]:
            self._project(student, wanted)
        goal = torch.tensor(wanted, device=student.model.device)

        def loss(vectors: Any, rows: Any, weights: Any) -> Any:
            return (vector_loss(vectors, goal[rows], *losses) * weights).sum()

        named = [identity_of(one.weights) for one in (self.encoder, self.teacher)]
        identity = digest([losses, asdict(self.how), *named], learn)
        folder = None if self.folder is None else Path(self.folder) / identity[:16]
        train(student, torch.nn.Identity(), learn, np.ones(len(learn)), loss, self.how, folder, identity)
        student.model.eval()
        self.student_ = student
        after = student.encode(held)
        self.report_ = Nearer(
            len(learn),
            len(held),
            _cosine(before, held_wanted) if before.shape == held_wanted.shape else None,
            _cosine(after, held_wanted),
            _similarity(before, held_wanted),
            _similarity(after, held_wanted),
        )
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the student's vectors: (texts, the teacher's dimension)."""
        return self.student_.encode(texts)

    def save(self, folder: str | Path) -> None:
        """Write a sentence-transformers folder, whole or not at all, and in it pilotfish-student.json.

        Raises:
            DataError: the folder holds something else.
        """
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()) and not (folder / "modules.json").exists():
            raise DataError(f"{folder} holds something else already; give a new folder")
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        self.student_.model.save(str(partial), create_model_card=False)
        told = json.dumps({"teacher": self.teacher.name, **asdict(self.report_)}, indent=1)
        (partial / "pilotfish-student.json").write_text(told + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)

    @staticmethod
    def load(folder: str | Path) -> Encoder:
        """Return what `save` wrote as an encoder, loaded.

        Raises:
            ModelError: the folder holds none.
        """
        if not (Path(folder) / "modules.json").exists():
            raise ModelError(f"{folder}: not a saved embedding student")
        return Encoder(folder).load()

    def _project(self, student: Encoder, wanted: NDArray[np.float32]) -> None:
        """Put a projection after the student's own modules, and a normalisation where the teacher's vectors have it."""
        torch = need("torch", "train")
        library = need("sentence_transformers", "train")
        norms = np.linalg.norm(wanted, axis=1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.how.seed)
            dense = library.models.Dense(
                student.dimension, wanted.shape[1], bias=False, activation_function=torch.nn.Identity()
            )
            # A random rotation, as nearly as there is one: the similarities it starts from are then the student's own.
            torch.nn.init.orthogonal_(dense.linear.weight)
        student.model.append(dense.to(student.model.device))
        if np.allclose(norms, 1, atol=1e-3):
            student.model.append(library.models.Normalize())


def vector_loss(student: Any, teacher: Any, cosine: float = 1.0, mse: float = 0.0, similarity: float = 0.0) -> Any:
    """Return the loss of each text, (texts,), of vectors (texts, dimension) against the teacher's.

    cosine (1 - cos(s, t)) + mse |s - t|^2 + similarity (mean over the other texts of (cos(s, s') - cos(t, t'))^2); the
    last is 0 where there is one text.
    """
    torch = need("torch", "train")
    normal = torch.nn.functional.normalize
    mine, theirs = normal(student, dim=-1), normal(teacher, dim=-1)
    loss = cosine * (1 - (mine * theirs).sum(dim=-1)) + mse * ((student - teacher) ** 2).sum(dim=-1)
    count = len(student)
    if similarity and count > 1:
        # The diagonal is 1 in both, so it adds nothing.
        apart = (mine @ mine.T - theirs @ theirs.T) ** 2
        loss = loss + similarity * apart.sum(dim=-1) / (count - 1)
    return loss


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / np.maximum(lengths, 1e-12)))


def _similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return Pearson's correlation of two models' cosines over all pairs of texts; NaN where there is one pair."""
    pairs = np.triu_indices(len(a), 1)
    found = []
    for vectors in (a, b):
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        found.append((unit @ unit.T)[pairs])
    if len(found[0]) < 2 or found[0].std() == 0 or found[1].std() == 0:
        return float("nan")
    return float(np.corrcoef(found[0], found[1])[0, 1])
