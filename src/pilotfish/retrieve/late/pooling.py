"""Fewer vectors for a document: those that are near one another become their mean.

Source: Clavié, Chaffin and Adams 2024 (Reducing the Footprint of Multi-Vector Retrieval with Minimal Performance Impact
via Token Pooling), hierarchical clustering by Ward's criterion, as in PyLate. The mean is given the length 1 again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["pooled"]


def pooled(vectors: NDArray[np.float32], factor: int, *, protected: int = 1) -> NDArray[np.float32]:
    """Return one vector in `factor` of a document's: (fewer, d), of length 1.

    Args:
        vectors: (tokens, d), of length 1.
        factor: how many become one, on average; 1 changes nothing.
        protected: how many first ones stay as they are, as [CLS] does.
    """
    rest = vectors[protected:]
    wanted = max(len(rest) // factor, 1)
    if factor == 1 or wanted >= len(rest):
        return vectors
    from scipy.cluster.hierarchy import fcluster, linkage

    apart = (1 - rest @ rest.T)[np.triu_indices(len(rest), 1)]
    labels = fcluster(linkage(apart, method="ward"), t=wanted, criterion="maxclust")
    _, places = np.unique(labels, return_inverse=True)
    sums = np.zeros((int(places.max()) + 1, vectors.shape[1]))
    np.add.at(sums, places, rest)
    means = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return np.concatenate([vectors[:protected], means.astype(np.float32)])
