"""The best rows of many scores: exact, and equal scores always in the same order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pilotfish.retrieve.found import Found

__all__ = ["best_of", "found_of", "joined"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


def best_of(scores: Floats, k: int) -> Ints:
    """Return where the k best scores stand, best first, of equal ones the first; those of -inf are never among them."""
    there = np.flatnonzero(scores > -np.inf)
    if not len(there) or k < 1:
        return np.zeros(0, np.int64)
    if len(there) < len(scores):
        # Apart from the rest: to part numbers that are nearly all equal takes 20 times as long.
        found: Ints = there[best_of(scores[there], k)]
        return found
    count = min(k, len(there))
    bound = np.partition(scores, len(scores) - count)[len(scores) - count]
    above = np.flatnonzero(scores > bound)
    level = np.flatnonzero(scores == bound)[: count - len(above)]
    chosen = np.sort(np.concatenate([above, level]))
    ordered: Ints = chosen[np.argsort(-scores[chosen], kind="stable")]
    return ordered


def found_of(rows: list[Ints], scores: list[Floats], k: int) -> Found:
    """Return what was found for each query as one table, -1 and -inf where there are no more."""
    found = Found(np.full((len(rows), k), -1, np.int64), np.full((len(rows), k), -np.inf, np.float32))
    for place, (some, theirs) in enumerate(zip(rows, scores, strict=True)):
        found.rows[place, : len(some)] = some[:k]
        found.scores[place, : len(some)] = theirs[:k]
    return found


def joined(one: Found, other: Found) -> Found:
    """Return the best of two tables of different rows, each as wide as the first."""
    rows = np.concatenate([one.rows, other.rows], axis=1)
    scores = np.concatenate([one.scores, other.scores], axis=1)
    # Of equal scores the smaller row; nothing (-1) has the score -inf, and stays behind.
    order = np.lexsort((rows, -scores), axis=1)[:, : one.rows.shape[1]]
    return Found(np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1))
