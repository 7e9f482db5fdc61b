"""A strong model that learns a classification from weak labels: as a probe, by adapters, or as a whole.

Source: Burns et al. 2023 (Weak-to-Strong Generalization), section 3: the strong model is fine-tuned on the labels of a
weak supervisor, and held against one that people's labels taught.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models._weights import identity_of
from pilotfish.models.classify import EncoderFeatures, SoftmaxHead, TextClassifier
from pilotfish.models.encoder import Encoder
from pilotfish.supervise.strong.loss import Objective, WeakLoss
from pilotfish.supervise.strong.probe import Probe, probed
from pilotfish.train.encoding import ScaledHead, train
from pilotfish.train.folder import digest
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.models.classify import Features

__all__ = ["StrongModel", "Taught", "bootstrapped", "hard"]

FOLDER, TOLD = "encoder", "strong.json"


@dataclass(frozen=True)
class Taught:
    """What a strong model learnt from.

    Attributes:
        rows: with a weak label.
        how: "probe", "adapters" or "all weights".
        steps: of the training; of a probe its passes.
        best: the step whose weights were taken, by the weak labels of rows kept back.
        held_out: rows kept back.
        decay: of a probe, the penalty that was taken.
        objective: what was made of the labels.
    """

    rows: int
    how: str
    steps: int
    best: int
    held_out: int = 0
    decay: float | None = None
    objective: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


class StrongModel:
    """Features, or an encoder that is tuned, and a head over them; scikit-learn's contract, saved as a classifier.

    Args:
        over: what the head stands on. An encoder, which may be a language model (`pilotfish.train.lm_encoder`), can be
            tuned; other features, as those of a local model's hidden states, are for a probe. It stays as it is.
        how: `Probe`, a head alone; or a `Fit`: with a rank adapters on the encoder, without one all its weights. Its
            `patience` stops early by the weak labels of rows kept back, never by people's.
        objective: what is made of the labels.
        head_rate: how many times the encoder's learning rate the head's is.
        start: a probe of the encoder as it is, of the same weak labels, from whose head tuning begins (Kumar et al.
            2022, LP-FT): few steps then suffice, and the first ones do not pull the encoder towards a head that knows
            nothing. None begins with a head of nothing.
        held_out: the share of rows that is kept back where there is patience.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.

    Attributes:
        classes_: the labels, in the order of the columns.
        coef_, intercept_: of the head.
        features_: what it stands on after learning.
        report_: what it learnt from.

    Raises:
        ConfigError: features that cannot be tuned, or a setting out of range.
    """

    def __init__(
        self,
        over: Encoder | Features,
        how: Probe | Fit | None = None,
        objective: Objective | None = None,
        *,
        head_rate: float = 30.0,
        start: Probe | None = None,
        held_out: float = 0.1,
        folder: str | Path | None = None,
    ) -> None:
        self.over, self.how, self.objective = over, how or Probe(), objective or Objective()
        self.head_rate, self.start, self.held_out, self.folder = head_rate, start, held_out, folder
        if isinstance(self.how, Fit) and not isinstance(over, Encoder):
            raise ConfigError("only an encoder can be tuned; other features are for a probe")
        if start is not None and not isinstance(self.how, Fit):
            raise ConfigError("a probe starts from nothing: `start` is of a model that is tuned")
        if not head_rate > 0 or not 0 < held_out < 1:
            raise ConfigError(f"head_rate is above 0 and held_out a share, not {head_rate} and {held_out}")

    def fit(self, texts: Sequence[str], labels: NDArray[np.float64], classes: Sequence[str]) -> Self:
        """Learn from weak labels.

        Args:
            texts: of the rows.
            labels: (rows, classes) probabilities; a row of NaN has none. A hard label is a one among zeros.
            classes: what the columns are called.

        Raises:
            DataError: not one label a row, probabilities that are none, or labels of fewer than two classes.
            ModelError: the loss is not finite.
        """
        labels = np.asarray(labels, dtype=np.float64)
        rows = _known(labels, len(texts), len(classes))
        self.classes_ = [str(one) for one in classes]
        if isinstance(self.how, Probe):
            features = EncoderFeatures(self.over) if isinstance(self.over, Encoder) else self.over
            self.features_: Features = features.fit([texts[i] for i in rows])
            x = self.features_.transform(list(texts))
            self.coef_, self.intercept_, decay = probed(x, rows, WeakLoss(labels, self.objective), self.how)
            steps = self.how.epochs * -(-len(rows) // self.how.rows)
            self.report_ = Taught(len(rows), "probe", steps, steps, 0, decay, asdict(self.objective))
        else:
            self._tuned(list(texts), labels, rows, self.how)
        return self

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return probabilities in the order of `classes_`: (texts, classes)."""
        return self.classifier.predict_proba(texts) if len(texts) else np.zeros((0, len(self.classes_)))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Return the likeliest label of each text."""
        return [self.classes_[i] for i in self.predict_proba(texts).argmax(axis=1)] if len(texts) else []

    @property
    def classifier(self) -> TextClassifier:
        """The same thing as a classifier over texts."""
        head = SoftmaxHead()
        head.classes_, head.coef_, head.intercept_, head.temperature_ = self.classes_, self.coef_, self.intercept_, 1.0
        return TextClassifier(self.features_, head)

    def save(self, folder: str | Path) -> None:
        """Write a `TextClassifier`'s folder, with the encoder where it was tuned; `strong.json` says what it learnt."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # First of all, so that a kill leaves no new encoder under an old head that would load.
        for name in (TOLD, "classifier.json"):
            (folder / name).unlink(missing_ok=True)
        saved = self.classifier
        if isinstance(self.how, Fit):
            assert isinstance(self.features_, EncoderFeatures)
            assert isinstance(self.features_.encoder, Encoder)
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
            self.features_.encoder.model.save(str(folder / FOLDER), create_model_card=False)
            tuned = Encoder(folder / FOLDER, name=self.features_.encoder.name)
            saved = TextClassifier(EncoderFeatures(tuned), saved.head)
        saved.save(folder)
        told = {"report": self.report_.to_json(), "classes": self.classes_}
        (folder / TOLD).write_text(json.dumps(told) + "\n", encoding="utf-8")

    @staticmethod
    def load(folder: str | Path, catalog: Catalog | None = None) -> TextClassifier:
        """Read what `save` wrote: a classifier, as any collaboration takes it.

        Raises:
            ModelError: the folder holds none.
        """
        if not (Path(folder) / TOLD).is_file():
            raise ModelError(f"{folder}: no strong model ({TOLD} is not there)")
        return TextClassifier.load(folder, catalog)

    def _tuned(self, texts: list[str], labels: NDArray[np.float64], rows: NDArray[np.int64], how: Fit) -> None:
        assert isinstance(self.over, Encoder)
        encoder = self.over.load().copied()
        held = np.zeros(0, np.int64)
        if how.patience is not None:
            held = np.random.default_rng([how.seed, 1]).permutation(rows)[: round(self.held_out * len(rows))]
        loss = WeakLoss(labels, self.objective, encoder.model.device)
        first: dict[str, Any] = {}
        if self.start is not None:
            x = EncoderFeatures(self.over).transform(texts)
            own = np.setdiff1d(rows, held)
            first["weight"], first["bias"], _ = probed(x, own, WeakLoss(labels, self.objective), self.start)
        head = ScaledHead(encoder.dimension, len(self.classes_), self.head_rate, how.seed, **first)
        weights = np.zeros(len(texts))
        weights[rows] = 1.0
        told = [asdict(how), asdict(self.objective), self.head_rate, self.classes_, held.tolist()]
        told += [asdict(self.start)] if self.start is not None else []
        identity = digest([*told, identity_of(encoder.weights), labels.tobytes().hex()], texts)
        folder = None if self.folder is None else Path(self.folder) / identity[:16]
        fitted = train(
            encoder,
            head.module,
            texts,
            weights,
            loss,
            how,
            folder,
            identity,
            held_out=held.tolist(),
            look=loss.look,
            moment=loss.at,
        )
        encoder.model.eval()
        self.features_ = EncoderFeatures(encoder)
        self.coef_, self.intercept_ = head.weights()
        kind = "adapters" if how.rank else "all weights"
        count = len(rows) - len(held)
        self.report_ = Taught(count, kind, fitted.steps, fitted.best, len(held), None, asdict(self.objective))


def bootstrapped(
    models: Sequence[StrongModel], texts: Sequence[str], labels: NDArray[np.float64], classes: Sequence[str]
) -> list[StrongModel]:
    """Teach models of growing size in a row: the first on the weak labels, each other on the one's before it.

    Rows without a weak label get one from the first model on. Source: Burns et al. 2023, section 4.3.1.

    Raises:
        ConfigError: no model.
        DataError: as `StrongModel.fit`.
    """
    if not models:
        raise ConfigError("bootstrapping needs at least one model")
    for model in models:
        model.fit(texts, labels, classes)
        labels = model.predict_proba(texts)
    return list(models)


def hard(labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the likeliest class of each row as a one among zeros; a row of NaN stays so, ties go by their shares."""
    found = np.array(labels, dtype=np.float64)
    known = np.logical_not(np.isnan(found).any(axis=1))
    top = found[known] == found[known].max(axis=1, keepdims=True)
    found[known] = top / top.sum(axis=1, keepdims=True)
    return found


def _known(labels: NDArray[np.float64], rows: int, classes: int) -> NDArray[np.int64]:
    """Return the rows with a label."""
    if labels.shape != (rows, classes):
        raise DataError(f"{rows} rows and {classes} classes need labels of that shape, not {labels.shape}")
    empty = np.isnan(labels)
    odd = np.flatnonzero(empty.any(axis=1) & np.logical_not(empty.all(axis=1)))
    if len(odd):
        raise DataError(f"row {odd[0] + 1}: a label is all probabilities or none")
    (found,) = np.nonzero(np.logical_not(empty.any(axis=1)))
    sums = labels[found].sum(axis=1)
    wrong = np.flatnonzero((np.abs(sums - 1) > 1e-3) | (labels[found] < -1e-9).any(axis=1))
    if len(wrong):
        raise DataError(
            f"row {found[wrong[0]] + 1}: its label is no probabilities: they add up to {sums[wrong[0]]:.4g}"
        )
    if (labels[found] > 0).any(axis=0).sum() < 2:
        raise DataError("a strong model needs weak labels of at least two classes")
    return found
