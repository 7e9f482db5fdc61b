"""Spherical k-means, in numpy: clusters of directions (Dhillon and Modha 2001)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["clustered"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
_ROUNDS = 10
_SAMPLE = 256  # rows a cluster that the centroids are fitted on
_BLOCK = 8192


def clustered(unit: Floats, clusters: int, seed: int = 0) -> Iterator[Ints]:
    """Yield the rows of each cluster that has any, ascending.

    Args:
        unit: (rows, dimensions) of length one.
        clusters: how many; no more than rows.
        seed: of the first centroids and of the sample they are fitted on.
    """
    rng = np.random.default_rng(seed)
    clusters = min(clusters, len(unit))
    if not clusters:
        return
    sample = unit
    if len(unit) > clusters * _SAMPLE:
        sample = unit[np.sort(rng.choice(len(unit), clusters * _SAMPLE, replace=False))]
    centres = sample[rng.choice(len(sample), clusters, replace=False)]
    before = np.full(len(sample), -1)
    for _ in range(_ROUNDS):
        nearest = _nearest(sample, centres)
        if np.array_equal(nearest, before):
            break
        before = nearest
        order = np.argsort(nearest, kind="stable")
        held, starts = np.unique(nearest[order], return_index=True)
        sums = np.zeros((clusters, unit.shape[1]), dtype=np.float64)
        sums[held] = np.add.reduceat(sample[order], starts, axis=0)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        # A cluster without rows begins anew at a row drawn by chance.
        fresh = sample[rng.integers(len(sample), size=clusters)]
        centres = np.where(length > 1e-12, sums / np.maximum(length, 1e-12), fresh).astype(np.float32)
    nearest = _nearest(unit, centres)
    order = np.argsort(nearest, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(nearest, minlength=clusters))[:-1]):
        if len(rows):
            yield rows


def _nearest(unit: Floats, centres: Floats) -> Ints:
    blocks = [np.argmax(unit[at : at + _BLOCK] @ centres.T, axis=1) for at in range(0, len(unit), _BLOCK)]
    return np.concatenate(blocks)
