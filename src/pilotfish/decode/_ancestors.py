"""Which tokens of a tree each of them sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ancestors"]


def ancestors(parents: Sequence[int]) -> NDArray[np.bool_]:
    """Return (nodes, nodes): row i is True at node i and at its ancestors; -1 is no node, parents come first."""
    sees = np.eye(len(parents), dtype=np.bool_)
    for node, parent in enumerate(parents):
        if parent >= 0:
            sees[node] |= sees[parent]
    return sees
