"""How well scores tell good rows from others: the area under the ROC curve, precision and recall.

Sources: Hanley and McNeil 1982 (the area, and its variance); Newcombe 2006, part 2, method 5 (its score interval, sound
at 1); Davis and Goadrich 2006 (precision and recall).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError
from pilotfish.measure._interval import Interval, z_score
from pilotfish.measure.intervals import bootstrap

__all__ = ["PrecisionRecall", "area", "area_interval", "average_precision", "precision_interval"]

Floats = NDArray[np.float64]
_POINTS = 200


def area(scores: ArrayLike, good: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a good row's score is above another's; ties count half.

    Raises:
        DataError: no good row, or no other.
    """
    values, hits = np.asarray(scores, np.float64), np.asarray(good, bool)
    ups = int(hits.sum())
    if not 0 < ups < len(hits):
        raise DataError("an area under the curve needs good rows and others")
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    stops = np.cumsum(counts)
    ranks = (stops - (counts - 1) / 2)[which]
    return float((ranks[hits].sum() - ups * (ups + 1) / 2) / (ups * (len(hits) - ups)))


def area_interval(scores: ArrayLike, good: ArrayLike, level: float = 0.95) -> Interval:
    """Return the area with its score interval.

    Raises:
        DataError: no good row, or no other.
    """
    hits = np.asarray(good, bool)
    value, ups = area(scores, hits), int(hits.sum())
    downs, z = len(hits) - ups, z_score(level)
    half = (ups + downs) / 2 - 1

    def beyond(true: float) -> float:
        spread = true * (1 - true) / (ups * downs) * (1 + half * (1 - true) / (2 - true) + half * true / (1 + true))
        return abs(value - true) - z * float(np.sqrt(spread))

    low = 0.0 if value == 0 else _crossed(beyond, 0.0, value)
    high = 1.0 if value == 1 else _crossed(beyond, 1.0, value)
    return Interval(value, min(low, value), max(high, value), level, "Newcombe's method 5", len(hits))


def _crossed(beyond: Callable[[float], float], outside: float, inside: float) -> float:
    for _ in range(60):
        middle = (outside + inside) / 2
        if beyond(middle) > 0:
            outside = middle
        else:
            inside = middle
    return (outside + inside) / 2


def average_precision(scores: ArrayLike, good: ArrayLike) -> float:
    """Return the mean of precision over the good rows, by falling score; rows of one score count together."""
    _, precision, recall = _steps(np.asarray(scores, np.float64), np.asarray(good, bool))
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def precision_interval(scores: ArrayLike, good: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> Interval:
    """Return the average precision with its interval; as many good rows and others in each draw.

    Raises:
        DataError: no good row.
    """
    hits = np.asarray(good, bool)
    return bootstrap(
        np.stack([np.asarray(scores, np.float64), hits.astype(np.float64)], axis=1),
        lambda rows: average_precision(rows[:, 0], rows[:, 1]),
        resamples=resamples,
        method="percentile",
        strata=hits.astype(np.int64),
        seed=seed,
    )


@dataclass(frozen=True)
class PrecisionRecall:
    """What is kept at each threshold.

    Attributes:
        thresholds: (points,) falling; at most 200, the first and the last among them.
        precision: (points,) the share of good rows among those kept.
        recall: (points,) the share of the good rows that are kept.
        kept: (points,) the share of all rows that are kept.
        average: the mean precision, with its interval.
    """

    thresholds: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    kept: tuple[float, ...]
    average: Interval

    @classmethod
    def of(cls, scores: ArrayLike, good: ArrayLike, *, seed: int = 0) -> PrecisionRecall:
        """Return the curve of scores.

        Raises:
            DataError: no good row, or no other.
        """
        values, hits = np.asarray(scores, np.float64), np.asarray(good, bool)
        if not 0 < hits.sum() < len(hits):
            raise DataError("a curve of precision and recall needs good rows and others")
        thresholds, precision, recall = _steps(values, hits)
        kept = recall * hits.sum() / np.maximum(precision, 1e-12) / len(hits)
        some = np.unique(np.linspace(0, len(thresholds) - 1, min(_POINTS, len(thresholds))).round().astype(int))
        average = precision_interval(values, hits, resamples=500, seed=seed)
        parts = [tuple(np.asarray(part)[some].tolist()) for part in (thresholds, precision, recall, kept)]
        return cls(parts[0], parts[1], parts[2], parts[3], average)

    def at(self, threshold: float) -> tuple[float, float, float]:
        """Return (precision, recall, share kept) where scores from `threshold` on are kept, of the nearest point."""
        place = max(0, int(np.searchsorted(-np.asarray(self.thresholds), -threshold, side="right")) - 1)
        return self.precision[place], self.recall[place], self.kept[place]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**{name: list(getattr(self, name)) for name in _PARTS}, "average": self.average.to_json()}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> PrecisionRecall:
        """Read what `to_json` gave."""
        parts = [tuple(float(value) for value in told[name]) for name in _PARTS]
        return cls(parts[0], parts[1], parts[2], parts[3], Interval(**told["average"]))


_PARTS = ("thresholds", "precision", "recall", "kept")


def _steps(scores: Floats, good: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Return each distinct score, falling, with precision and recall of what is kept from it on."""
    order = np.argsort(-scores, kind="stable")
    values, hits = scores[order], np.cumsum(good[order])
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    return values[last], hits[last] / (last + 1), hits[last] / max(1, int(hits[-1]))
