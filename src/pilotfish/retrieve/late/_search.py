"""A search by numpy: the same stages as the C file's, where there is no compiler, and to check it by.

Source: Santhanam et al. 2022 (PLAID), section 4: candidates by the nearest centroids, a rough score by centroids alone,
the exact score of what is kept for the best. The rough score is made of whole numbers, as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.retrieve.late._segment import Kept
from pilotfish.retrieve.late.codec import Codec
from pilotfish.retrieve.late.maxsim import Ragged, by_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Stages", "searched"]


@dataclass(frozen=True)
class Stages:
    """How thorough a search is.

    Attributes:
        n_probe: centroids whose documents are looked at, for each token of a query.
        candidates: documents that are scored exactly; all of an index that has no more.
        threshold: a centroid that no token of the query matches so well is passed over.
    """

    n_probe: int
    candidates: int
    threshold: float


def searched(
    query: NDArray[np.float32],
    k: int,
    codec: Codec,
    segments: Sequence[tuple[int, Kept]],
    usable: NDArray[np.uint8],
    stages: Stages,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the best k rows of one query and their scores, -1 and -inf where there are no more.

    Args:
        query: (tokens, d).
        k: how many.
        codec: of the index.
        segments: each with the row of its first document.
        usable: (rows,) 1 where a document can be found.
        stages: how thorough.
    """
    rows: NDArray[np.int64] = np.full(k, -1, np.int64)
    scores: NDArray[np.float32] = np.full(k, -np.inf, np.float32)
    alive = np.flatnonzero(usable)
    if not len(alive) or not len(query):
        return rows, scores
    found = alive if len(alive) <= stages.candidates else _candidates(query, k, codec, segments, alive, stages)
    tokens = [_tokens(segments, row) for row in found]
    vectors = codec.decode(*(np.concatenate(part) for part in zip(*(one for _, one in tokens), strict=True)))
    ends = np.concatenate([[0], np.cumsum([size for size, _ in tokens])]).astype(np.int64)
    exact = by_numpy(query, Ragged(vectors, ends))
    best = np.lexsort((found, -exact))[:k]
    rows[: len(best)], scores[: len(best)] = found[best], exact[best]
    return rows, scores


def _tokens(segments: Sequence[tuple[int, Kept]], row: int) -> tuple[int, tuple[NDArray[Any], NDArray[np.uint8]]]:
    first, part = next(one for one in reversed(segments) if one[0] <= row)
    here = slice(int(part.starts[row - first]), int(part.starts[row - first + 1]))
    return here.stop - here.start, (part.codes[here], part.residuals[here])


def _candidates(
    query: NDArray[np.float32],
    k: int,
    codec: Codec,
    segments: Sequence[tuple[int, Kept]],
    alive: NDArray[np.int64],
    stages: Stages,
) -> NDArray[np.int64]:
    """Return the rows that are scored exactly, rising."""
    matches = codec.centroids @ query.T
    longest = float(np.sqrt(np.einsum("ij,ij->i", query, query).max()))
    scale = np.float32(255 / longest if longest > 0 else 0)
    table = np.clip(np.floor(matches * scale + np.float32(0.5)), 0, 255).astype(np.uint8)
    if stages.threshold > 0:
        table[table.max(axis=1) < int(stages.threshold * scale + 0.5)] = 0
    near = np.argsort(-matches, axis=0, kind="stable")[: stages.n_probe]
    near = near[np.take_along_axis(matches, near, axis=0) >= stages.threshold]
    marked = np.zeros(int(alive[-1]) + 1, bool)
    for first, part in segments:
        at = np.searchsorted(part.cells, np.unique(near))
        for place, centroid in zip(at, np.unique(near), strict=True):
            if place < len(part.cells) and part.cells[place] == centroid:
                rows = first + part.members[part.cell_starts[place] : part.cell_starts[place + 1]]
                marked[rows[rows < len(marked)]] = True
    found = alive[marked[alive]]
    if len(found) < k and len(found) < len(alive):
        found = alive
    if len(found) <= stages.candidates:
        return found
    rough = np.array([table[_tokens(segments, row)[1][0]].max(axis=0).astype(np.int64).sum() for row in found])
    return np.sort(found[np.argsort(-rough, kind="stable")[: stages.candidates]])
