"""Folds for cross-validation in which rows of one group (a subject, a document, a cluster) stay together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError

__all__ = ["folds"]


def folds(groups: ArrayLike, count: int = 5, seed: int = 0) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (training rows, held-out rows) for each fold; every row is held out once.

    The groups, the largest first and equals in an order drawn by the seed, are dealt to the fold that is the smallest.
    Where each row is a group of its own, these are plain random folds of even size.

    Args:
        groups: (rows,) ids.
        count: of folds, 2 or more.
        seed: of the order.

    Raises:
        DataError: fewer groups than folds.
    """
    given = np.asarray(groups)
    ids, places, counts = np.unique(given, return_inverse=True, return_counts=True)
    if count < 2 or len(ids) < count:
        raise DataError(f"{len(ids)} groups cannot be dealt into {count} folds: each fold needs one, and two at least")
    order = np.random.default_rng(seed).permutation(len(ids))
    order = order[np.argsort(-counts[order], kind="stable")]
    sizes, fold_of = np.zeros(count, np.int64), np.zeros(len(ids), np.int64)
    for group in order:
        smallest = int(sizes.argmin())
        fold_of[group] = smallest
        sizes[smallest] += counts[group]
    fold = fold_of[places.reshape(len(given))]
    for number in range(count):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)
