"""How right the answers are that a score accepts: accuracy of the accepted set against its share (coverage).

Source: El-Yaniv and Wiener 2010 (selective classification: risk and coverage).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError
from pilotfish.measure._interval import Interval
from pilotfish.measure.intervals import bootstrap

__all__ = ["SHARES", "AcceptedSet", "accepted_accuracy", "accepted_sets", "mean_accuracy"]

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class AcceptedSet:
    """What is accepted at a threshold.

    Attributes:
        share: of the answers, the best scored ones.
        above: the score of the last one that is in.
        accuracy: how many of them are right.
    """

    share: float
    above: float
    accuracy: Interval

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def accepted_accuracy(scores: ArrayLike, right: ArrayLike, share: float) -> float:
    """Return how many of the best scored `share` of answers are right; of equal scores an equal part of each is taken.

    Raises:
        DataError: no answers, or no share.
    """
    values, good = _read(scores, right)
    if not 0 < share <= 1:
        raise DataError(f"a share is above 0 and at most 1, not {share}")
    wanted = share * len(values)
    order = np.argsort(-values, kind="stable")
    _, which, counts = np.unique(-values[order], return_inverse=True, return_counts=True)
    hits = np.bincount(which, weights=good[order])
    before = np.cumsum(counts) - counts
    taken = np.clip(wanted - before, 0, counts)
    return float((hits * taken / counts).sum() / wanted)


def mean_accuracy(scores: ArrayLike, right: ArrayLike, shares: Sequence[float] = SHARES) -> float:
    """Return the mean over shares: the height of the whole curve as one number."""
    return float(np.mean([accepted_accuracy(scores, right, share) for share in shares]))


def accepted_sets(
    scores: ArrayLike,
    right: ArrayLike,
    shares: Sequence[float] = SHARES,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> list[AcceptedSet]:
    """Return the curve, each point with its bootstrap interval (scores and answers drawn together).

    Args:
        scores: (answers,) the higher the more it is trusted.
        right: (answers,) 1 where it is right.
        shares: of the points.
        groups: (answers,) ids, of answers that are drawn together: those to one question.
        resamples: of the bootstrap.
        seed: of it.
    """
    values, good = _read(scores, right)
    table = np.stack([values, good], axis=1)
    ranked = np.sort(values)[::-1]
    found = []
    for share in shares:

        def accuracy(rows: NDArray[Any], share: float = share) -> float:
            return accepted_accuracy(rows[:, 0], rows[:, 1], share)

        interval = bootstrap(table, accuracy, resamples=resamples, method="percentile", seed=seed, groups=groups)
        last = ranked[max(0, int(np.ceil(share * len(values))) - 1)]
        found.append(AcceptedSet(share, float(last), interval))
    return found


def _read(scores: ArrayLike, right: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values, good = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    if values.ndim != 1 or values.shape != good.shape or not len(values):
        raise DataError("accepted sets need a score and a grade an answer")
    return values, good
