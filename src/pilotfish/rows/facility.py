"""Facility location: the rows that all others are most like.

f(S) = Σᵢ max over j in S of sim(i, j), with sim the cosine, from 0 on. It is monotone and submodular, so taking the row
of the largest gain again and again reaches 1 − 1/e of the best (Nemhauser et al. 1978); a gain never grows, so an old
one is a bound, and only rows whose bound is the largest are looked at again (Minoux 1978, the lazy greedy algorithm).
Similarities are computed as they are needed, never stored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["facility_location"]

_BLOCK = 1 << 24  # similarities that exist at a time
_AT_ONCE = 16  # rows whose gains are looked at together: one product of matrices in place of as many by a vector


def facility_location(
    vectors: NDArray[np.float32], count: int, *, first: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows taken, in order, and what each gained; among equal gains the earlier row comes first.

    Args:
        vectors: (rows, dimension), each of length one.
        count: rows to take, `first` not counted.
        first: rows that are there already.
    """
    rows = len(vectors)
    covered = np.zeros(rows, dtype=np.float32)
    free = np.ones(rows, dtype=bool)
    if first is not None and len(first):
        free[first] = False
        for start in range(0, len(first), _AT_ONCE):
            np.maximum(covered, _like(vectors, first[start : start + _AT_ONCE]).max(axis=1), out=covered)
    bounds = np.full(rows, -np.inf)
    step = max(1, _BLOCK // max(1, rows))
    candidates = np.nonzero(free)[0]
    for start in range(0, len(candidates), step):
        some = candidates[start : start + step]
        bounds[some] = _gains(vectors, some, covered)
    taken: list[int] = []
    gained: list[float] = []
    fresh = np.ones(rows, dtype=bool)  # whether a bound is the gain as things stand
    while len(taken) < min(count, len(candidates)):
        best = int(np.argmax(bounds))
        if not fresh[best]:
            stale = np.argpartition(-bounds, min(_AT_ONCE, rows - 1))[:_AT_ONCE]
            stale = np.unique(np.append(stale[~fresh[stale] & np.isfinite(bounds[stale])], best))
            bounds[stale] = _gains(vectors, stale, covered)
            fresh[stale] = True
            continue
        taken.append(best)
        gained.append(float(bounds[best]))
        np.maximum(covered, _like(vectors, np.array([best]))[:, 0], out=covered)
        bounds[best] = -np.inf
        fresh[:] = False
    return np.array(taken, dtype=np.int64), np.array(gained)


def _like(vectors: NDArray[np.float32], some: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return (rows, some): the cosines, those below 0 as 0."""
    found: NDArray[np.float32] = np.maximum(vectors @ vectors[some].T, 0)
    return found


def _gains(vectors: NDArray[np.float32], some: NDArray[np.int64], covered: NDArray[np.float32]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.maximum(_like(vectors, some) - covered[:, None], 0).sum(axis=0, dtype=np.float64)
    return found
