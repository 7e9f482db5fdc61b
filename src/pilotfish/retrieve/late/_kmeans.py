"""Spherical k-means: centroids of length 1, by products.

Source: Dhillon and Modha 2001. Thousands of centroids are found in two levels: a few groups, then each group's own,
then rounds over all of them; a round of the plain kind would cost as many products as there are centroids per vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotfish.retrieve.late._native import address, library
from pilotfish.retrieve.late._nearest import Nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["centroids_of", "spherical"]

_FLAT = 1024  # centroids that are found in one level
_EACH = 256  # vectors for one centroid, at most
_ROUNDS = 6
_FURTHER = 2  # rounds over all centroids together


def centroids_of(
    vectors: NDArray[np.float32],
    k: int,
    random: np.random.Generator,
    *,
    threads: int | None = None,
    native: bool = True,
) -> tuple[NDArray[np.float32], NDArray[np.int32] | None]:
    """Return k centroids, (k, d) of length 1, and the group of each; None where they are few.

    Args:
        vectors: (vectors, d) of length 1, as many as centroids at least.
        k: how many.
        random: decides where it begins.
        threads: to use.
        native: use the C code where it can be had.
    """
    if k <= _FLAT:
        return spherical(vectors, k, random, threads=threads, native=native), None
    count = 1 << (int(np.log2(k)) // 2)
    heads = spherical(vectors, count, random, threads=threads, native=native)
    labels = Nearest(heads, native=native).of(vectors, threads=threads)
    sizes = np.bincount(labels, minlength=count)
    order = np.argsort(labels, kind="stable")
    found, groups = [], []
    for group, (rows, quota) in enumerate(zip(np.split(order, np.cumsum(sizes)[:-1]), _quotas(sizes, k), strict=True)):
        if quota:
            found.append(spherical(vectors[rows], int(quota), random, rounds=4, threads=threads, native=native))
            groups.append(np.full(quota, group, np.int32))
    centroids, of_group = np.concatenate(found), np.concatenate(groups)
    for _ in range(_FURTHER):
        labels = Nearest(centroids, of_group, native=native).of(vectors, threads=threads)
        sums, counts = _sums(vectors, labels, k, native=native)
        # One that nothing came to stays where it is.
        centroids = np.where(counts[:, None] > 0, _normal(sums), centroids).astype(np.float32)
    return centroids, of_group


def spherical(
    vectors: NDArray[np.float32],
    k: int,
    random: np.random.Generator,
    *,
    rounds: int = _ROUNDS,
    threads: int | None = None,
    native: bool = True,
) -> NDArray[np.float32]:
    """Return k centroids of length 1, each looked at by every vector; as `centroids_of`."""
    if len(vectors) > _EACH * k:
        vectors = vectors[np.sort(random.choice(len(vectors), _EACH * k, replace=False))]
    centroids = vectors[np.sort(random.choice(len(vectors), k, replace=False))].copy()
    for _ in range(rounds):
        labels = Nearest(centroids, native=native).of(vectors, threads=threads)
        sums, counts = _sums(vectors, labels, k, native=native)
        centroids = _normal(sums).astype(np.float32)
        empty = np.flatnonzero(counts == 0)
        # One that nothing came to begins again at a vector.
        centroids[empty] = vectors[random.choice(len(vectors), len(empty))]
    return centroids


def _sums(
    vectors: NDArray[np.float32], labels: NDArray[np.int32], k: int, *, native: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sum of each label's vectors, and how many they are."""
    sums: NDArray[np.float64] = np.zeros((k, vectors.shape[1]))
    counts: NDArray[np.int64] = np.zeros(k, np.int64)
    lib = library() if native else None
    vectors = np.ascontiguousarray(vectors)
    if lib is not None:
        lib.pf_late_sums(address(vectors), *vectors.shape, address(labels), address(sums), address(counts))
    else:
        np.add.at(sums, labels, vectors)
        counts += np.bincount(labels, minlength=k)
    return sums, counts


def _normal(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: NDArray[np.float64] = rows / np.maximum(lengths, 1e-12)
    return found


def _quotas(sizes: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Share k centroids out among groups by their sizes; none gets more than it has vectors."""
    shares = sizes * (k / sizes.sum())
    quotas: NDArray[np.int64] = np.minimum(np.floor(shares).astype(np.int64), sizes)
    while (short := k - int(quotas.sum())) > 0:
        lacking = np.where(quotas < sizes, shares - quotas, -np.inf)
        quotas[np.argsort(-lacking, kind="stable")[:short]] += 1
        quotas = np.minimum(quotas, sizes)
    return quotas
