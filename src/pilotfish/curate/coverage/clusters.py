"""As many rows of each cluster, so that what is common does not crowd out what is rare."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish._extras import need

_WHOLE = 10**10  # products in a turn of k-means over all rows: a second or so

__all__ = ["cluster_balanced", "clusters_of", "quotas"]


def cluster_balanced(
    vectors: NDArray[np.float32],
    count: int,
    *,
    clusters: int | None = None,
    scores: ArrayLike | None = None,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return the rows taken, sorted: as many of each k-means cluster as it has, up to one bound for all.

    Args:
        vectors: (rows, dimension), each of length one.
        count: rows to take.
        clusters: how many; None for the square root of the rows.
        scores: (rows,), the highest of a cluster are taken; None takes those nearest to its center.
        seed: of the clustering.
    """
    labels, away = clusters_of(vectors, clusters or max(1, round(len(vectors) ** 0.5)), seed)
    ranked = away if scores is None else -np.asarray(scores, np.float64)
    taken: list[NDArray[np.int64]] = []
    for label, wanted in enumerate(quotas(np.bincount(labels), count)):
        (own,) = np.nonzero(labels == label)
        taken.append(own[np.argsort(ranked[own], kind="stable")[:wanted]])
    found: NDArray[np.int64] = np.sort(np.concatenate(taken)) if taken else np.zeros(0, dtype=np.int64)
    return found


def clusters_of(
    vectors: NDArray[np.float32], clusters: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each row's cluster and its distance from the center (k-means of scikit-learn; of many, by batches).

    Batches miss small clusters, so they are for what would take hours otherwise.
    """
    cluster = need("sklearn.cluster", "train")
    count = min(clusters, len(vectors))
    if len(vectors) * count * vectors.shape[1] <= _WHOLE:
        made = cluster.KMeans(count, random_state=seed, n_init=4)
    else:
        made = cluster.MiniBatchKMeans(count, random_state=seed, n_init=3, batch_size=16_384)
    labels = made.fit_predict(vectors)
    away = np.linalg.norm(vectors - made.cluster_centers_[labels], axis=1).astype(np.float64)
    return labels.astype(np.int64), away


def quotas(sizes: ArrayLike, count: int) -> NDArray[np.int64]:
    """Return how many are taken of each group, which sum to `count`: all up to one bound, so the small ones whole.

    What the bound leaves over goes to the first groups that have more.
    """
    there = np.asarray(sizes, dtype=np.int64)
    if count >= there.sum():
        return there
    low, high = 0, int(there.max(initial=0))
    while low < high:  # the largest bound that does not take too many
        middle = (low + high + 1) // 2
        if int(np.minimum(there, middle).sum()) <= count:
            low = middle
        else:
            high = middle - 1
    found = np.minimum(there, low)
    (more,) = np.nonzero(there > low)
    found[more[: count - int(found.sum())]] += 1
    return found
