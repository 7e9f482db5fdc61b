"""Groups of what is near: the connected components of pairs, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["components", "joined"]

Ints = NDArray[np.int64]


def components(size: int, left: Ints, right: Ints) -> Ints:
    """Return for each node the least node of its connected component: (size,)."""
    return joined(np.arange(size, dtype=np.int64), left, right)


def joined(least: Ints, left: Ints, right: Ints) -> Ints:
    """Return `least` after the pairs too are joined: (nodes,), for each node the least of its component.

    Each round hooks the larger of two roots under the smaller and halves the paths until every node points at its root;
    the rounds are about the logarithm of a component's longest path.

    Args:
        least: (nodes,) the least node of each node's component so far.
        left: (pairs,) nodes.
        right: (pairs,) nodes.
    """
    parent = least.copy()
    while len(left):
        a, b = parent[left], parent[right]
        apart = a != b
        if not apart.any():
            break
        left, right, a, b = left[apart], right[apart], a[apart], b[apart]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))
        while True:
            above = parent[parent]
            if np.array_equal(above, parent):
                break
            parent = above
    return parent
