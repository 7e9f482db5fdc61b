"""How good predictions are: accuracy, macro-F1, confusion, calibration, Brier score, log loss.

Labels may be any hashable values. A prediction of None means "no answer" (a reply that could not be parsed, say):
it is always wrong, and it is not a class of its own.

Sources: ECE with equal-width bins, Naeini et al. 2015 and Guo et al. 2017 (section 2, eq. 3); with equal-mass bins,
Nguyen and O'Connor 2015; Brier 1950 (eq. 2, the sum over all classes, so between 0 and 2).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError

__all__ = [
    "Calibration",
    "CalibrationBin",
    "ClassScore",
    "Confusion",
    "accuracy",
    "brier",
    "calibration",
    "class_scores",
    "confusion",
    "correct",
    "ece",
    "macro_f1",
    "nll",
    "top_label",
]

Labels = Sequence[Hashable] | NDArray[Any]
Binning = Literal["equal-width", "equal-mass"]


def correct(truth: Labels, predicted: Labels) -> NDArray[np.float64]:
    """Return 1.0 where the prediction is right and 0.0 where it is wrong or None: (rows,).

    Raises:
        DataError: no rows, or two lengths that differ.
    """
    _same_length(truth, predicted)
    pairs = zip(truth, predicted, strict=True)
    return np.fromiter((p is not None and t == p for t, p in pairs), np.float64, len(truth))


def accuracy(truth: Labels, predicted: Labels) -> float:
    """Return the share of rows whose prediction equals the truth.

    Raises:
        DataError: no rows, or two lengths that differ.
    """
    return float(correct(truth, predicted).mean())


def macro_f1(truth: Labels, predicted: Labels) -> float:
    """Return the unweighted mean of the classes' F1.

    The classes are the union of those in `truth` and in `predicted`. A class that was never true but was predicted
    counts as 0, and so does one that was true but never predicted; a class in neither is left out.

    Raises:
        DataError: no rows, or two lengths that differ.
    """
    return float(np.mean([score.f1 for score in class_scores(truth, predicted)]))


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: precision (0 where never predicted), recall (0 where never true), their harmonic mean, and rows."""

    label: Any
    precision: float
    recall: float
    f1: float
    support: int


def class_scores(truth: Labels, predicted: Labels) -> list[ClassScore]:
    """Return one `ClassScore` a class of the union of true and predicted labels, in sorted order.

    Raises:
        DataError: no rows, or two lengths that differ.
    """
    table = confusion(truth, predicted)
    hits = np.diag(table.counts)
    support = table.counts.sum(axis=1) + table.unanswered
    guessed = table.counts.sum(axis=0)
    scores = []
    for label, hit, true, guess in zip(table.labels, hits, support, guessed, strict=True):
        scores.append(
            ClassScore(
                label,
                float(hit / guess) if guess else 0.0,
                float(hit / true) if true else 0.0,
                float(2 * hit / (true + guess)),
                int(true),
            )
        )
    return scores


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Which class was taken for which.

    Attributes:
        labels: the classes, in the order of rows and columns.
        counts: (classes, classes) integers; row = truth, column = prediction.
        unanswered: (classes,) rows of each true class whose prediction was None.
    """

    labels: tuple[Any, ...]
    counts: NDArray[np.int64]
    unanswered: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """The share of rows on the diagonal; unanswered rows are wrong."""
        return float(np.trace(self.counts) / (self.counts.sum() + self.unanswered.sum()))

    def most_confused(self, limit: int = 20) -> list[tuple[Any, Any, int]]:
        """Return up to `limit` (truth, prediction, rows) off the diagonal, the most frequent first."""
        off = self.counts.copy()
        np.fill_diagonal(off, 0)
        order = np.argsort(-off, axis=None, kind="stable")[:limit]
        rows, columns = np.unravel_index(order, off.shape)
        return [
            (self.labels[i], self.labels[j], int(off[i, j]))
            for i, j in zip(rows, columns, strict=True)
            if off[i, j] > 0
        ]

    def to_json(self) -> dict[str, Any]:
        """Return labels, counts and unanswered as plain data."""
        return {
            "labels": list(self.labels),
            "counts": self.counts.tolist(),
            "unanswered": self.unanswered.tolist(),
        }


def confusion(truth: Labels, predicted: Labels, labels: Labels | None = None) -> Confusion:
    """Count how often each true class got each prediction.

    Args:
        truth: the right labels.
        predicted: what the model said; None for no answer.
        labels: the order of the classes; by default the sorted union of both (None left out).

    Raises:
        DataError: no rows, two lengths that differ, a true label of None, or a label that `labels` lacks.
    """
    _same_length(truth, predicted)
    order = _classes(truth, predicted) if labels is None else list(labels)
    code = {label: index for index, label in enumerate(order)}
    counts = np.zeros((len(order), len(order)), np.int64)
    unanswered = np.zeros(len(order), np.int64)
    for row, (true, guess) in enumerate(zip(truth, predicted, strict=True)):
        for label in (true, guess) if guess is not None else (true,):
            if label not in code:
                raise DataError(f"row {row}: label {label!r} is not among the classes given; add it to `labels`")
        if guess is None:
            unanswered[code[true]] += 1
        else:
            counts[code[true], code[guess]] += 1
    return Confusion(tuple(order), counts, unanswered)


def top_label(probabilities: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the highest probability of each row, and 1.0 where its class is the true one: both (rows,).

    Args:
        probabilities: (rows, classes), each row summing to 1.
        truth: (rows,) class indices.

    Raises:
        DataError: shapes that disagree, or rows that are not probabilities.
    """
    matrix, index = _checked(probabilities, truth)
    return matrix.max(axis=1), (matrix.argmax(axis=1) == index).astype(np.float64)


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows whose confidence fell between two edges: how sure the model was, and how often it was right."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The reliability table: bins that hold at least one row, from the least confident to the most."""

    bins: tuple[CalibrationBin, ...]
    binning: Binning

    @property
    def rows(self) -> int:
        """Rows over all bins."""
        return sum(each.rows for each in self.bins)

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean gap of confidence and accuracy, weighted by rows; 0 is best."""
        return sum(each.rows * abs(each.confidence - each.accuracy) for each in self.bins) / self.rows

    @property
    def mce(self) -> float:
        """Maximum calibration error: the largest gap of any bin."""
        return max(abs(each.confidence - each.accuracy) for each in self.bins)

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy: above 0 where the model is surer than it is right."""
        return sum(each.rows * (each.confidence - each.accuracy) for each in self.bins) / self.rows

    def to_json(self) -> dict[str, Any]:
        """Return the bins and the errors as plain data."""
        rows = [
            {"low": b.low, "high": b.high, "rows": b.rows, "confidence": b.confidence, "accuracy": b.accuracy}
            for b in self.bins
        ]
        return {"binning": self.binning, "ece": self.ece, "mce": self.mce, "bins": rows}


def calibration(
    confidence: ArrayLike, right: ArrayLike, bins: int = 15, binning: Binning = "equal-width"
) -> Calibration:
    """Return the reliability table of (confidence, right or wrong) pairs.

    Equal-width bins are (edge, next edge], the first one closed on both sides. Equal-mass bins hold as near the same
    number of rows as can be, without ever putting equal confidences in two bins.

    Args:
        confidence: (rows,) in [0, 1]; `top_label` gives it for a classifier.
        right: (rows,) of 0 and 1.
        bins: the most bins to use.
        binning: "equal-width" or "equal-mass".

    Raises:
        DataError: no rows, shapes that disagree, or confidences outside [0, 1].
    """
    sure = np.asarray(confidence, np.float64)
    hit = np.asarray(right, np.float64)
    if sure.ndim != 1 or sure.shape != hit.shape or not sure.size:
        raise DataError(f"calibration needs two equal, non-empty columns; got shapes {sure.shape} and {hit.shape}")
    if not (np.isfinite(sure).all() and sure.min() >= 0 and sure.max() <= 1 + 1e-6):
        raise DataError("calibration needs confidences between 0 and 1; some are not (are they logits?)")
    if bins < 1:
        raise DataError(f"calibration needs at least 1 bin, got {bins}")
    if binning == "equal-width":
        edges = np.linspace(0.0, 1.0, bins + 1)
    else:
        edges = np.unique(np.concatenate(([0.0], np.quantile(sure, np.linspace(0, 1, bins + 1)[1:-1]), [1.0])))
    place = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, len(edges) - 2)
    table = []
    for index in np.unique(place):
        inside = place == index
        table.append(
            CalibrationBin(
                float(edges[index]),
                float(edges[index + 1]),
                int(inside.sum()),
                float(sure[inside].mean()),
                float(hit[inside].mean()),
            )
        )
    return Calibration(tuple(table), binning)


def ece(probabilities: ArrayLike, truth: ArrayLike, bins: int = 15, binning: Binning = "equal-width") -> float:
    """Return the top-label expected calibration error of (rows, classes) probabilities against class indices.

    Raises:
        DataError: shapes that disagree, or rows that are not probabilities.
    """
    return calibration(*top_label(probabilities, truth), bins=bins, binning=binning).ece


def brier(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Return the Brier score: the mean over rows of the squared error summed over classes (0 best, 2 worst).

    Raises:
        DataError: shapes that disagree, or rows that are not probabilities.
    """
    matrix, index = _checked(probabilities, truth)
    error = matrix.copy()
    error[np.arange(len(index)), index] -= 1.0
    return float((error**2).sum(axis=1).mean())


def nll(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean negative log-probability of the true class, in nats.

    A probability of 0 is raised to the machine epsilon of float64 (36 nats), so one row cannot make it infinite.

    Raises:
        DataError: shapes that disagree, or rows that are not probabilities.
    """
    matrix, index = _checked(probabilities, truth)
    picked = matrix[np.arange(len(index)), index]
    return float(-np.log(np.clip(picked, np.finfo(np.float64).eps, 1.0)).mean())


def _same_length(truth: Labels, predicted: Labels) -> None:
    if len(truth) != len(predicted):
        raise DataError(f"{len(truth)} true labels but {len(predicted)} predictions; give one prediction a row")
    if not len(truth):
        raise DataError("no rows to measure; give at least one labelled row")


def _classes(truth: Labels, predicted: Labels) -> list[Any]:
    found = set(truth) | (set(predicted) - {None})
    if None in found:
        raise DataError("a true label is None; drop unlabelled rows before measuring")
    try:
        return sorted(found)
    except TypeError:  # labels of several types have no order of their own
        return sorted(found, key=lambda label: (type(label).__name__, str(label)))


def _checked(probabilities: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    matrix = np.asarray(probabilities, np.float64)
    index = np.asarray(truth)
    if matrix.ndim != 2 or index.shape != matrix.shape[:1] or not matrix.size:
        raise DataError(f"need (rows, classes) probabilities and (rows,) truth; got {matrix.shape} and {index.shape}")
    if not np.issubdtype(index.dtype, np.integer) or index.min() < 0 or index.max() >= matrix.shape[1]:
        raise DataError(f"truth must hold class indices from 0 to {matrix.shape[1] - 1}")
    if not np.isfinite(matrix).all() or matrix.min() < 0 or np.abs(matrix.sum(axis=1) - 1).max() > 1e-3:
        raise DataError("each row of probabilities must be at least 0 and sum to 1; apply softmax to logits first")
    return matrix, index.astype(np.int64)
