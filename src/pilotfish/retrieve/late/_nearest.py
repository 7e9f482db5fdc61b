"""The nearest of many centroids: they stand in groups, and only those of the groups nearest to a vector are looked at.

With 32,768 centroids in 181 groups, of which 8 are looked at, that is a twentieth of the work. What is found for a
vector does not depend on what else is sought with it.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.retrieve.late._native import Cells, address, called, library, threads_here

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PROBED", "Nearest"]

PROBED = 8


class Nearest:
    """Finds the centroid with the largest product for each vector.

    Args:
        centroids: (centroids, d) float32.
        groups: (centroids,) the group of each; None where all are looked at.
        probed: how many groups are looked at for a vector.
        native: use the C code where it can be had.
    """

    def __init__(
        self,
        centroids: NDArray[np.float32],
        groups: NDArray[np.int32] | None = None,
        *,
        probed: int = PROBED,
        native: bool = True,
    ) -> None:
        self.centroids = np.ascontiguousarray(centroids, np.float32)
        labels = np.zeros(len(centroids), np.int64) if groups is None else np.asarray(groups, np.int64)
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels))
        # A group without a centroid is none.
        self.members = [part for part in np.split(order, ends[:-1]) if len(part)]
        self.heads = np.stack([_middle(self.centroids[part]) for part in self.members])
        self.probed = min(probed, len(self.members))
        self._library = library() if native else None
        if self._library is not None:
            self._cells, self._held = _cells(self, int(self._library.pf_late_lanes()))

    def of(self, vectors: NDArray[np.float32], *, threads: int | None = None) -> NDArray[np.int32]:
        """Return the number of each vector's centroid: (vectors,); of equal ones the smaller."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        if self._library is None:
            return self._by_numpy(vectors)
        out: NDArray[np.int32] = np.empty(len(vectors), np.int32)
        called(
            self._library.pf_late_assign,
            ctypes.byref(self._cells),
            address(vectors),
            len(vectors),
            address(out),
            threads_here(threads),
        )
        return out

    def _by_numpy(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        out: NDArray[np.int32] = np.empty(len(vectors), np.int32)
        for at in range(0, len(vectors), 8192):
            # In double precision: else the rounding of a product hangs on how many are made together.
            block = vectors[at : at + 8192].astype(np.float64)
            best = np.full(len(block), -np.inf)
            found = np.full(len(block), np.iinfo(np.int32).max, np.int32)
            if len(self.members) > 1:
                heads = block @ self.heads.astype(np.float64).T
                wanted = np.argsort(-heads, axis=1, kind="stable")[:, : self.probed]
            else:
                wanted = np.zeros((len(block), 1), np.int64)
            for group, part in enumerate(self.members):
                rows = np.flatnonzero((wanted == group).any(axis=1))
                scores = block[rows] @ self.centroids[part].astype(np.float64).T
                top = scores.argmax(axis=1)  # of equal ones the first, and a group's numbers rise
                most, number = scores[np.arange(len(rows)), top], part[top].astype(np.int32)
                better = (most > best[rows]) | ((most == best[rows]) & (number < found[rows]))
                best[rows[better]], found[rows[better]] = most[better], number[better]
            out[at : at + 8192] = found
        return out


def _middle(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = vectors.mean(axis=0, dtype=np.float64)
    middle: NDArray[np.float32] = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return middle


def _cells(nearest: Nearest, lanes: int) -> tuple[Cells, list[NDArray[Any]]]:
    """Return the groups as the C file wants them, and the arrays that must be held as long."""
    d = nearest.centroids.shape[1]
    numbers, starts = [], [0]
    for part in nearest.members:
        short = -len(part) % lanes
        numbers.append(np.concatenate([part, np.repeat(part[:1], short)]))  # filled up with the first one again
        starts.append(starts[-1] + len(numbers[-1]) // lanes)
    ids = np.concatenate(numbers).astype(np.int32)
    panels = np.ascontiguousarray(nearest.centroids[ids].reshape(-1, lanes, d).transpose(0, 2, 1))
    filled = np.zeros((-(-len(nearest.heads) // lanes) * lanes, d), np.float32)
    filled[: len(nearest.heads)] = nearest.heads
    heads = np.ascontiguousarray(filled.reshape(-1, lanes, d).transpose(0, 2, 1))
    begins = np.array(starts, np.int64)
    cells = Cells(
        address(heads),
        len(heads),
        len(nearest.members),
        nearest.probed,
        address(begins),
        address(panels),
        address(ids),
        d,
    )
    return cells, [heads, begins, panels, ids]
