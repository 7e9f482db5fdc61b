"""Duplicates in meaning: rows whose vectors, by an encoder, point the same way.

All pairs are compared in blocks of a matrix product: n rows of d numbers take n^2 d multiplications, 10,000 MiniLM
vectors about a second. `clusters` compares only within clusters, after Abbas et al. 2023 (SemDeDup, section 3), which
makes it n^2 d / clusters; they keep of a group what lies farthest from the centroid, here its first row stays, as for
all duplicates.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._clusters import clustered
from pilotfish.rows._duplicates import Duplicates, Leaks, conflicts_of
from pilotfish.rows._groups import joined

__all__ = ["near_vectors", "unit_vectors", "vector_leaks"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
THRESHOLD = 0.95
_BLOCK = 2048
_MOST = 64  # pairs kept a row and block


def near_vectors(
    vectors: ArrayLike,
    threshold: float = THRESHOLD,
    *,
    labels: Sequence[Hashable] | None = None,
    clusters: int | None = None,
    seed: int = 0,
) -> Duplicates:
    """Group the rows whose vectors have a cosine similarity at or above the threshold.

    Args:
        vectors: (rows, dimensions); any length, not zero.
        threshold: the least cosine of near rows, above 0 and at most 1.
        labels: one a row; groups with several different ones are reported. None labels nothing.
        clusters: compare only within this many clusters (spherical k-means); None compares all with all. The square
            root of the rows is a sensible number; pairs across a border are missed.
        seed: of the clusters.

    Returns:
        The groups. Of pairs, those that join the groups and at most 64 others a row and block of 2,048 rows.

    Raises:
        ConfigError: the threshold or the number of clusters is out of range.
        DataError: vectors that are not finite or zero; not as many labels as rows.
    """
    unit = unit_vectors(vectors)
    _check(threshold)
    if labels is not None and len(labels) != len(unit):
        raise DataError(f"{len(unit)} vectors but {len(labels)} labels")
    if clusters is not None and clusters < 1:
        raise ConfigError(f"there is at least one cluster, not {clusters}")
    least = np.arange(len(unit), dtype=np.int64)
    pairs: list[tuple[int, int, float]] = []
    for rows in clustered(unit, clusters, seed) if clusters is not None else [least]:
        for left, right, similarity in _near(unit, rows, threshold):
            # Edges within what is one group already are left out: there would be the square of a large group.
            new = least[left] != least[right]
            left, right, similarity = left[new], right[new], similarity[new]  # noqa: PLW2901
            least = joined(least, left, right)
            few = _nth(right) < _MOST
            pairs += zip(left[few].tolist(), right[few].tolist(), similarity[few].tolist(), strict=True)
    return Duplicates(
        group=least,
        pairs=tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))),
        exact=len(unit) - len({row.tobytes() for row in unit}),
        conflicts=conflicts_of(least, labels) if labels is not None else (),
    )


def _near(unit: Floats, rows: Ints, threshold: float) -> Iterator[tuple[Ints, Ints, NDArray[np.float64]]]:
    """Yield (left, right, cosine) for near pairs of some rows, left < right, ordered by right within a block."""
    some = unit[rows]
    for start in range(0, len(rows), _BLOCK):
        later = some[start : start + _BLOCK]
        for other in range(0, start + 1, _BLOCK):
            cosine = later @ some[other : other + _BLOCK].T
            right, left = np.nonzero(cosine >= threshold - 1e-6)
            below = left + other < right + start
            right, left = right[below], left[below]
            near = np.minimum(cosine[right, left], 1.0).astype(np.float64).round(6)
            yield rows[left + other], rows[right + start], near


def _nth(ordered: Ints) -> Ints:
    """Return how many equal numbers stand before each."""
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else ordered
    counts = np.diff(np.concatenate([starts, [len(ordered)]]))
    return np.arange(len(ordered), dtype=np.int64) - np.repeat(starts, counts)


def vector_leaks(train: ArrayLike, test: ArrayLike, threshold: float = THRESHOLD) -> Leaks:
    """Return which training rows are near a test row by their vectors: every pair.

    Raises:
        ConfigError: the threshold is out of range.
        DataError: vectors that are not finite or zero, or of different dimensions.
    """
    _check(threshold)
    one, two = unit_vectors(train), unit_vectors(test)
    if len(one) and len(two) and one.shape[1] != two.shape[1]:
        raise DataError(f"training vectors have {one.shape[1]} dimensions, test vectors {two.shape[1]}")
    found: list[tuple[int, int, float]] = []
    for start in range(0, len(one) if len(two) else 0, _BLOCK):
        for other in range(0, len(two), _BLOCK):
            cosine = one[start : start + _BLOCK] @ two[other : other + _BLOCK].T
            rows, columns = np.nonzero(cosine >= threshold - 1e-6)
            near = np.minimum(cosine[rows, columns], 1.0).astype(np.float64).round(6)
            found += zip((rows + start).tolist(), (columns + other).tolist(), near.tolist(), strict=True)
    found.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
    return Leaks(np.unique(np.array([pair[0] for pair in found], dtype=np.int64)), tuple(found))


def unit_vectors(vectors: ArrayLike) -> Floats:
    """Return the vectors with length one, in float32: (rows, dimensions).

    Raises:
        DataError: not a matrix, or a row that is not finite or zero.
    """
    data = np.asarray(vectors, dtype=np.float32)
    if data.ndim != 2:
        raise DataError(f"vectors are a matrix (rows, dimensions); got shape {data.shape}")
    length = np.linalg.norm(data.astype(np.float64, copy=False), axis=1, keepdims=True)
    wrong = np.flatnonzero(~(np.isfinite(length[:, 0]) & (length[:, 0] > 0)))
    if len(wrong):
        raise DataError(f"the vector of row {int(wrong[0]) + 1} is zero or not finite")
    unit: Floats = (data / length).astype(np.float32)
    return unit


def _check(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise ConfigError(f"the threshold of a cosine must be above 0 and at most 1, not {threshold}")
