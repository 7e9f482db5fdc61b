"""How well pairs are told apart: precision, recall and F1 of those that are called the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.entities.report import f1_of
from pilotfish.errors import DataError
from pilotfish.measure.curve import average_precision
from pilotfish.measure.intervals import Interval, bootstrap, wilson

__all__ = ["MatchReport", "best_threshold", "judged"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MatchReport:
    """How well pairs are told apart.

    Attributes:
        pairs: how many; `same` of them are of the same thing.
        same: see `pairs`.
        f1: at the threshold.
        precision: None where none was called the same.
        recall: None where none is.
        average_precision: over all thresholds; None where all are alike.
        threshold: of the probability.
    """

    pairs: int
    same: int
    f1: Interval
    precision: Interval | None
    recall: Interval | None
    average_precision: float | None
    threshold: float

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: one.to_json() if isinstance(one, Interval) else one for name, one in told.items()}

    def __str__(self) -> str:
        shown = [f"{self.pairs:,} pairs, {self.same:,} of the same thing"]
        for name in ("f1", "precision", "recall", "average_precision"):
            value = getattr(self, name)
            shown.append(f"{name.replace('_', ' '):<17} {'-' if value is None else f'{value:.3f}'}")
        return "\n".join([*shown, f"{'threshold':<17} {self.threshold:.3f}"])


def judged(scores: Floats, same: Sequence[bool], threshold: float) -> MatchReport:
    """Return how well scores tell pairs apart.

    Args:
        scores: (pairs,) larger for the same thing.
        same: whether each is.
        threshold: from which a pair is called the same.

    Raises:
        DataError: no pairs, or not one answer a pair.
    """
    truth = np.asarray(same, bool)
    if not len(truth) or len(truth) != len(scores):
        raise DataError(f"{len(scores)} scores and {len(truth)} labels: give one a pair, and one pair at least")
    called = scores >= threshold
    hits = called & truth
    both = 0 < truth.sum() < len(truth)
    return MatchReport(
        len(truth),
        int(truth.sum()),
        bootstrap(np.stack([hits, called, truth], axis=1), f1_of, method="percentile", resamples=2000),
        wilson(int(hits.sum()), int(called.sum())) if called.any() else None,
        wilson(int(hits.sum()), int(truth.sum())) if truth.any() else None,
        average_precision(scores, truth) if both else None,
        float(threshold),
    )


def best_threshold(scores: Floats, same: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the threshold with the best F1, halfway to the next lower score, and that F1."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits = np.cumsum(same[order])
    f1 = 2 * hits / np.maximum(np.arange(1, len(order) + 1) + same.sum(), 1)
    ends = np.flatnonzero(np.append(np.diff(ranked) < 0, True))
    at = int(ends[np.argmax(f1[ends])])
    lower = float(ranked[at + 1]) if at + 1 < len(ranked) else float(ranked[at])
    return (float(ranked[at]) + lower) / 2, float(f1[at])
