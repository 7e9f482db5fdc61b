"""Part of an index on the disk: what documents that came together are kept as, and which centroids each of them has.

A folder of .npy files, written as documents come and mapped into memory when read; it is never changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from pilotfish.retrieve.late._native import Segment as Native
from pilotfish.retrieve.late._native import address
from pilotfish.rows._atomic import atomic, cannot_write, sync

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.retrieve.late.codec import Codec

    # Documents that follow one another: how many tokens each has, their codes and residuals.
    Stretch = tuple[Sequence[int] | NDArray[np.int64], NDArray[Any], NDArray[np.uint8]]

__all__ = ["Kept", "merged", "written"]

_TOKENS = 1 << 24  # that are sorted by their centroids together: some 300 MB
_COPIED = 4096  # documents that are copied together


@dataclass(frozen=True, eq=False)
class Kept:
    """A segment that is open.

    Attributes:
        codes: (tokens,) the centroid of each.
        residuals: (tokens, bytes).
        starts: (documents + 1,) int64: where each document begins.
        cells: (centroids that occur,) int32, rising.
        cell_starts: (cells + 1,) int64: where the documents of each begin in `members`.
        members: int32: documents, rising within a cell.
    """

    codes: NDArray[Any]
    residuals: NDArray[np.uint8]
    starts: NDArray[np.int64]
    cells: NDArray[np.int32]
    cell_starts: NDArray[np.int64]
    members: NDArray[np.int32]

    @classmethod
    def open(cls, folder: Path) -> Kept:
        """Map a segment's files, within `reading`."""
        arrays = {}
        for name in cls.__dataclass_fields__:
            path = folder / f"{name}.npy"
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            arrays[name] = np.asarray(array) if array.size else np.load(path, allow_pickle=False)
        return cls(**arrays)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def tokens(self) -> int:
        """How many tokens are kept."""
        return len(self.codes)

    def native(self, first: int) -> Native:
        """Return it as the C file has it; `first` is the row of its first document."""
        arrays = (self.codes, self.residuals, self.starts, self.cells, self.cell_starts, self.members)
        return Native(*map(address, arrays), len(self.cells), len(self), first)


class _Growing:
    """A .npy file whose first axis grows: its header is written again at the end."""

    def __init__(self, path: Path, tail: tuple[int, ...], kind: Any) -> None:
        self.path, self.tail, self.kind, self.length = path, tail, np.dtype(kind), 0
        self.file: IO[bytes] = path.open("wb")
        self._head()

    def _head(self) -> None:
        # The header leaves room for a first axis of any length.
        told = {"descr": npy.dtype_to_descr(self.kind), "fortran_order": False, "shape": (self.length, *self.tail)}
        npy.write_array_header_1_0(self.file, told)

    def put(self, rows: NDArray[Any]) -> None:
        self.file.write(np.ascontiguousarray(rows, self.kind).data)
        self.length += len(rows)

    def close(self) -> None:
        size = self.file.tell()
        self.file.seek(0)
        self._head()
        assert size >= self.file.tell()
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()


def written(folder: Path, stretches: Iterable[Stretch], codec: Codec) -> tuple[int, int]:
    """Write a segment of documents that are coded; return how many documents and tokens it has.

    Nothing of it counts before the index's own file names it.

    Raises:
        DataError: the system refuses to write.
    """
    try:
        folder.mkdir(parents=True)
        codes = _Growing(folder / "codes.npy", (), codec.kind)
        residuals = _Growing(folder / "residuals.npy", (codec.width,), np.uint8)
        lengths: list[NDArray[np.int64]] = []
        try:
            for sizes, some, rest in stretches:
                codes.put(some)
                residuals.put(rest)
                lengths.append(np.asarray(sizes, np.int64))
        finally:
            codes.close()
            residuals.close()
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(folder)):
            raise  # what the documents are read from is not for us to name
        raise cannot_write(folder, error) from error
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]), dtype=np.int64)
    arrays: dict[str, NDArray[Any]] = {"starts": ends}
    arrays |= _inverted(np.load(folder / "codes.npy", mmap_mode="r"), ends, len(codec.centroids))
    for name, array in arrays.items():
        with atomic(folder / f"{name}.npy") as file:
            np.save(file, array, allow_pickle=False)
    sync(folder)
    return len(ends) - 1, int(ends[-1])


def merged(parts: Sequence[Kept], gone: NDArray[np.bool_]) -> Iterable[Stretch]:
    """Yield the documents of segments as those of one; of those that are gone nothing but their place is left.

    Args:
        parts: that follow one another.
        gone: (their documents,) those that are deleted.
    """
    first = 0
    for part in parts:
        sizes = np.diff(part.starts)
        for at in range(0, len(part), _COPIED):
            end = min(at + _COPIED, len(part))
            left = ~gone[first + at : first + end]
            here = slice(int(part.starts[at]), int(part.starts[end]))
            kept = np.repeat(left, sizes[at:end])
            yield sizes[at:end] * left, part.codes[here][kept], part.residuals[here][kept]
        first += len(part)


def _inverted(codes: NDArray[Any], starts: NDArray[np.int64], centroids: int) -> dict[str, NDArray[Any]]:
    """Return the documents of each centroid; those of many tokens by stretches of centroids."""
    documents = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    counts = np.bincount(codes, minlength=centroids) if len(codes) else np.zeros(centroids, np.int64)
    ends = np.cumsum(counts)
    members, cells, sizes = [], [], []
    low = 0
    while low < centroids:
        before = int(ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + _TOKENS, side="right")))
        whole = high - low == centroids
        some = np.asarray(codes) if whole else codes[at := np.flatnonzero((codes >= low) & (codes < high))]
        order = np.argsort(some, kind="stable")  # tokens stand in the order of their documents
        sorted_codes = some[order]
        sorted_documents = (documents if whole else documents[at])[order]
        new = np.ones(len(some), bool)
        new[1:] = (sorted_codes[1:] != sorted_codes[:-1]) | (sorted_documents[1:] != sorted_documents[:-1])
        found, each = np.unique(sorted_codes[new], return_counts=True)
        members.append(sorted_documents[new])
        cells.append(found.astype(np.int32))
        sizes.append(each)
        low = high
    return {
        "cells": np.concatenate(cells),
        "cell_starts": np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64),
        "members": np.concatenate(members).astype(np.int32),
    }
