"""What all label students share: the split, the choice of alpha, the calibration, and what they report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish.distill.blackbox.students.targets import Targets, parts_of, targets_of
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.folds import folds
from pilotfish.models.classify.head import fit_temperature, softmax
from pilotfish.models.classify.labelled import TeacherLabels

__all__ = ["LabelStudent", "Learnt", "chosen"]


@dataclass
class Learnt:
    """What a student learnt from.

    Attributes:
        gold: rows with people's labels that it learnt from.
        taught: rows with the teacher's.
        calibrated: rows with people's labels that were kept back, on which it was calibrated.
        alpha: the share of people's labels in the loss.
        tried: each alpha that was tried -> the log-loss of people's labels, in nats a row, over folds.
        accuracy: on the rows kept back; None without any.
    """

    gold: int = 0
    taught: int = 0
    calibrated: int = 0
    alpha: float = 0.5
    tried: dict[float, float] = field(default_factory=dict)
    accuracy: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**asdict(self), "tried": {str(alpha): loss for alpha, loss in self.tried.items()}}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Learnt:
        """Return what `to_json` gave."""
        tried = {float(alpha): float(loss) for alpha, loss in told["tried"].items()}
        return cls(**{**told, "tried": tried})


FOLDS = 5


class LabelStudent(ABC):
    """A student that learns labels: scikit-learn's contract.

    Args:
        alpha: the share of people's labels in the loss, the teacher's have the rest; or several, of which folds
            over people's labels choose one (see `chosen`; 1 for not to listen to the teacher).
        held_out: the share of people's labels that is kept back to calibrate on.
        seed: of the split and of what is random in fitting.

    Attributes:
        classes_: the labels, sorted.
        temperature_: what the logits are divided by, from the rows kept back.
        report_: what it learnt from.
    """

    def __init__(self, alpha: float | Sequence[float], held_out: float, seed: int) -> None:
        self.alpha, self.held_out, self.seed = alpha, held_out, seed

    @abstractmethod
    def _prepared(self, inputs: Sequence[Any], learn: NDArray[np.int64]) -> Any:
        """Return features of all inputs, having learnt what there is to learn of `learn` only."""

    @abstractmethod
    def _learn(self, x: Any, targets: Targets, alpha: float) -> None:
        """Fit on features of rows and their targets."""

    @abstractmethod
    def _raw(self, x: Any) -> NDArray[np.float64]:
        """Return the logits before calibration: (rows, classes)."""

    @abstractmethod
    def _features(self, inputs: Sequence[Any]) -> Any:
        """Return features of inputs."""

    def _key(self, given: Any) -> Hashable:
        """Return what tells an input from others."""
        return str(given)

    def _taken(self, x: Any, rows: NDArray[np.int64]) -> Any:
        """Return some rows' features."""
        return x[rows]

    def fit(
        self, inputs: Sequence[Any], gold: Sequence[str | None] | None = None, teacher: TeacherLabels | None = None
    ) -> Self:
        """Learn from inputs with people's labels, the teacher's, or both; a row may have none of them.

        Raises:
            ConfigError: alpha or held_out is no share.
            DataError: not one label a row, no labels, or fewer than two classes.
        """
        alphas = [self.alpha] if isinstance(self.alpha, int | float) else list(self.alpha)
        if not alphas or any(not 0 <= alpha <= 1 for alpha in alphas) or not 0 <= self.held_out < 1:
            raise ConfigError(f"alpha and held_out are shares, not {self.alpha} and {self.held_out}")
        targets = targets_of(len(inputs), gold, teacher)
        parts = parts_of([self._key(one) for one in inputs], targets, self.held_out, self.seed)
        self.classes_ = list(targets.classes)
        self.temperature_ = 1.0
        x = self._prepared(inputs, parts.learn)
        seen, own = self._taken(x, parts.learn), targets.at(parts.learn)
        keys = [self._key(inputs[i]) for i in parts.learn]
        enough = len(alphas) > 1 and len({key for key, mark in zip(keys, own.gold, strict=True) if mark >= 0}) >= FOLDS
        losses = {alpha: self._fold_losses(seen, own, keys, alpha) for alpha in alphas} if enough else {}
        tried = {alpha: float(each.mean()) for alpha, each in losses.items()}
        alpha = chosen(losses) if losses else alphas[0]
        self._checked_learn(seen, own, alpha)
        self.report_ = Learnt(int((own.gold >= 0).sum()), int(own.taught.sum()), len(parts.calibrate), alpha, tried)
        if len(parts.calibrate):
            logits, truth = self._raw(self._taken(x, parts.calibrate)), targets.gold[parts.calibrate]
            self.temperature_ = fit_temperature(logits, truth)
            self.report_.accuracy = float((logits.argmax(axis=1) == truth).mean())
        return self

    def predict_proba(self, inputs: Sequence[Any]) -> NDArray[np.float64]:
        """Return calibrated probabilities in the order of `classes_`: (rows, classes)."""
        if not len(inputs):
            return np.zeros((0, len(self.classes_)))
        return softmax(self._raw(self._features(inputs)) / self.temperature_)

    def predict(self, inputs: Sequence[Any]) -> list[str]:
        """Return the likeliest label of each input."""
        return [self.classes_[i] for i in self.predict_proba(inputs).argmax(axis=1)] if len(inputs) else []

    def _checked_learn(self, x: Any, targets: Targets, alpha: float) -> None:
        gold, soft = targets.shares(alpha)
        if not (gold.sum() + soft.sum()) > 0:
            raise DataError(f"nothing to learn from at alpha = {alpha}: the labels there are have no share in the loss")
        self._learn(x, targets, alpha)

    def _fold_losses(self, x: Any, targets: Targets, keys: list[Hashable], alpha: float) -> NDArray[np.float64]:
        """Return (rows,) log-losses of people's labels by students that did not see them, calibrated over all folds."""
        rows = np.flatnonzero(targets.gold >= 0)
        logits = np.zeros((len(rows), len(targets.classes)))
        codes: dict[Hashable, int] = {}
        for _, out in folds([codes.setdefault(keys[i], len(codes)) for i in rows], FOLDS, self.seed):
            # What the teacher says of these rows and of their copies stays away as well: it is as good as their label.
            away = {keys[i] for i in rows[out]}
            rest = np.array([i for i in range(len(keys)) if keys[i] not in away], dtype=np.int64)
            self._checked_learn(self._taken(x, rest), targets.at(rest), alpha)
            logits[out] = self._raw(self._taken(x, rows[out]))
        truth = targets.gold[rows]
        scaled = logits / fit_temperature(logits, truth)
        top = scaled.max(axis=1)
        best = scaled[np.arange(len(truth)), truth]
        return np.asarray(top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - best)


def chosen(losses: Mapping[float, NDArray[np.float64]]) -> float:
    """Return the alpha to take, of each one's losses (rows,) on the same rows: the one-standard-error rule.

    It is the largest, which trusts people most, whose mean is within one standard error (of the paired differences) of
    the least mean. A student of folds has fewer of people's labels than the last one will have, so that the folds alone
    would speak for the teacher too often.

    Source: Hastie, Tibshirani and Friedman 2009 (The Elements of Statistical Learning), section 7.10.
    """
    best = min(losses, key=lambda alpha: float(losses[alpha].mean()))
    near = [best]
    for alpha, each in losses.items():
        apart = each - losses[best]
        if apart.mean() <= apart.std(ddof=1) / np.sqrt(len(apart)):
            near.append(alpha)
    return max(near)
