"""MaxSim: the sum, over a query's tokens, of each one's best match among a document's.

Source: Khattab and Zaharia 2020 (ColBERT), equation 3. In C where there is a compiler, by numpy elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import DataError
from pilotfish.retrieve.late._native import address, called, library, threads_here

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ragged", "maxsim"]


@dataclass(frozen=True)
class Ragged:
    """Documents of different lengths, one after another.

    Attributes:
        vectors: (tokens, dimension) float32.
        starts: (documents + 1,) int64: where each begins, and where the last one ends.
    """

    vectors: NDArray[np.float32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, documents: Iterable[NDArray[np.floating]], dimension: int | None = None) -> Ragged:
        """Return documents, each (tokens, dimension), as one.

        Raises:
            DataError: one of another dimension.
        """
        given = [np.asarray(one, np.float32) for one in documents]
        wide = dimension if dimension is not None else given[0].shape[-1] if given else 0
        for number, one in enumerate(given):
            if one.ndim != 2 or one.shape[1] != wide:
                raise DataError(f"document {number}: its vectors are (tokens, {wide}), not {one.shape}")
        starts = np.concatenate([[0], np.cumsum([len(one) for one in given], dtype=np.int64)]).astype(np.int64)
        vectors = np.concatenate(given) if given else np.zeros((0, wide), np.float32)
        return cls(np.ascontiguousarray(vectors), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        return self.vectors[self.starts[number] : self.starts[number + 1]]


def maxsim(
    query: NDArray[np.floating],
    documents: Ragged | Sequence[NDArray[np.floating]],
    *,
    threads: int | None = None,
    native: bool = True,
) -> NDArray[np.float32]:
    """Return the score of each document for a query: (documents,); -inf for a document without tokens.

    Args:
        query: (tokens, dimension).
        documents: each (tokens, dimension).
        threads: to use; None for as many as there are cores.
        native: use the C code where it can be had.

    Raises:
        DataError: vectors of different dimensions.
    """
    query = np.ascontiguousarray(query, np.float32)
    ragged = documents if isinstance(documents, Ragged) else Ragged.of(documents, query.shape[-1])
    if query.ndim != 2 or query.shape[1] != ragged.vectors.shape[1]:
        raise DataError(f"a query of shape {query.shape} for documents of dimension {ragged.vectors.shape[1]}")
    lib = library() if native else None
    out: NDArray[np.float32] = np.empty(len(ragged), np.float32)
    if lib is None:
        return by_numpy(query, ragged)
    vectors, starts = np.ascontiguousarray(ragged.vectors, np.float32), np.ascontiguousarray(ragged.starts)
    called(
        lib.pf_late_maxsim,
        address(query),
        *query.shape,
        address(vectors),
        address(starts),
        len(ragged),
        address(out),
        threads_here(threads),
    )
    return out


def by_numpy(query: NDArray[np.float32], documents: Ragged) -> NDArray[np.float32]:
    """Return the same in plain numpy, document by document in stretches that are small in memory."""
    out = np.full(len(documents), -np.inf, np.float32)
    full = np.flatnonzero(np.diff(documents.starts))  # reduceat knows no empty stretch
    for stretch in np.array_split(full, max(1, len(documents.vectors) // 65536)):
        if len(stretch):
            first, end = documents.starts[stretch[0]], documents.starts[stretch[-1] + 1]
            matches = documents.vectors[first:end] @ query.T
            best = np.maximum.reduceat(matches, documents.starts[stretch] - first, axis=0)
            out[stretch] = best.sum(axis=1)
    return out
