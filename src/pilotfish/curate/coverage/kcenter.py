"""k-center: each next row is the one farthest from all that were taken.

Sources: Gonzalez 1985, farthest-first traversal: its covering radius is at most twice the best one; Sener and Savarese
2018 (core-sets for active learning), algorithm 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["k_center"]


def k_center(
    vectors: NDArray[np.float32], count: int, *, first: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows taken, in order, and the distance of each to those before it, when it was taken.

    Args:
        vectors: (rows, dimension); distances are Euclidean, so of vectors of length one those of cosines.
        count: rows to take, `first` not counted.
        first: rows that are there already; None begins with the row nearest to the mean.
    """
    squares = np.einsum("ij,ij->i", vectors, vectors)
    nearest = np.full(len(vectors), np.inf, dtype=np.float32)

    def take(row: int) -> None:
        away = squares + squares[row] - 2 * (vectors @ vectors[row])
        np.minimum(nearest, np.maximum(away, 0), out=nearest)
        nearest[row] = -1.0  # taken: never again, not even where all others are copies of it

    taken: list[int] = []
    radii: list[float] = []
    if first is not None and len(first):
        for row in first:
            take(int(row))
    elif len(vectors):
        middle = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        row = int(np.argmin(squares - 2 * (vectors @ middle)))
        taken.append(row)
        radii.append(np.inf)
        take(row)
    while len(taken) < min(count, len(vectors) - (0 if first is None else len(first))):
        row = int(np.argmax(nearest))
        taken.append(row)
        radii.append(float(np.sqrt(nearest[row])))
        take(row)
    return np.array(taken, dtype=np.int64), np.array(radii, dtype=np.float32)
