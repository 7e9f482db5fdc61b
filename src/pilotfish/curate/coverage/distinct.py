"""The best rows that are not near one that was taken before them.

Source: Liu et al. 2024 (DEITA, "What Makes Good Data for Alignment?"), section 2.4 and algorithm 1: rows are gone
through by falling score (complexity times quality), and a row is taken where its nearest taken one is far enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["distinct"]

_BLOCK = 512


def distinct(
    vectors: NDArray[np.float32],
    scores: ArrayLike | None = None,
    *,
    most: float = 0.9,
    count: int | None = None,
    first: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the rows taken, best first; among equal scores the earlier row comes first.

    Args:
        vectors: (rows, dimension), each of length one.
        scores: (rows,); None goes through the rows in their order.
        most: a row goes whose cosine to a taken one is this or more.
        count: rows to take at most.
        first: rows that are there already.
    """
    order = np.arange(len(vectors)) if scores is None else np.argsort(-np.asarray(scores, np.float64), kind="stable")
    if first is not None and len(first):
        order = order[~np.isin(order, first)]
    taken: list[int] = []
    room = np.empty((max(64, 0 if first is None else len(first)), vectors.shape[1]), dtype=np.float32)
    size = 0
    if first is not None and len(first):
        room[: len(first)] = vectors[first]
        size = len(first)
    for start in range(0, len(order), _BLOCK):
        some = order[start : start + _BLOCK]
        near = vectors[some] @ room[:size].T
        ahead = near.max(axis=1) if size else np.full(len(some), -np.inf, dtype=np.float32)
        among = vectors[some] @ vectors[some].T
        own: list[int] = []
        for at in range(len(some)):
            if ahead[at] >= most or (own and among[at, own].max() >= most):
                continue
            own.append(at)
            if count is not None and len(taken) + len(own) == count:
                return np.array([*taken, *some[own].tolist()], dtype=np.int64)
        taken += some[own].tolist()
        if size + len(own) > len(room):
            room = np.concatenate([room, np.empty((max(len(room), len(own)), room.shape[1]), dtype=np.float32)])
        room[size : size + len(own)] = vectors[some[own]]
        size += len(own)
    return np.array(taken, dtype=np.int64)
