"""Near rows among more than memory holds: sketches and band keys in files, each band sorted in parts that fit.

In memory are 4 bytes a row for the groups, 8 for where its text begins, and one part of one band; of the files, which
are mapped, what some thousand rows touch. A row takes 4 bytes a place of its sketch and 8 a band on the disk.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._groups import joined
from pilotfish.rows._lsh import RUN, within
from pilotfish.rows._near import Check, MinHash, least_equal
from pilotfish.rows._sketch_native import Join, address, library, packed
from pilotfish.rows._sketch_parts import parts_of
from pilotfish.rows._sketch_texts import Packed, plain_bytes

__all__ = ["Mapped", "SketchFile"]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Numbers = NDArray[np.int32]

_PART = 1 << 22  # rows of a band that are sorted at a time
_BLOCK = 1 << 16  # rows that are looked at before what they touched of the files is let go


class Mapped:
    """A file that is read where it is touched.

    Attributes:
        array: its bytes.
    """

    def __init__(self, path: Path) -> None:
        self._map: mmap.mmap | None = None
        self.array = np.zeros(1, np.uint8)  # C wants an address even where there is nothing
        if path.stat().st_size:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.array = np.frombuffer(self._map, np.uint8)

    def release(self) -> None:
        """Let go of what was touched: it counts as this process's memory, though the file holds it."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


class SketchFile:
    """Sketches of normalised texts in a folder.

    Args:
        folder: it must be there.
        how: the settings.
    """

    def __init__(self, folder: Path, how: MinHash) -> None:
        self.how, self._folder, self._size = how, folder, 0
        self._bands = how.banding
        self._stack = ExitStack()
        names = ["sketches.u4", "digests.u8", *(self._band(place).name for place in range(self._bands.bands))]
        self._files: list[BinaryIO] = [self._stack.enter_context((folder / name).open("wb")) for name in names]

    def __len__(self) -> int:
        return self._size

    def _band(self, place: int) -> Path:
        return band_path(self._folder, place)

    def add(self, plain: Sequence[bytes]) -> None:
        """Take normalised texts in, in UTF-8."""
        found = self.how.sketched_packed(*packed(plain))
        self.put(found, digests(plain))

    def put(self, found: NDArray[np.uint32], digested: Words) -> None:
        """Take sketches and digests of normalised texts in."""
        arrays: list[NDArray[np.generic]] = [found, digested]
        arrays += [self._bands.keys(found, band) for band in range(self._bands.bands)]
        for file, array in zip(self._files, arrays, strict=True):
            file.write(array.tobytes())
        self._size += len(found)

    def taken(self, batches: Iterable[Sequence[str]]) -> Iterator[list[bytes]]:
        """Normalise texts and take them in; yield them normalised, in order."""
        for batch in batches:
            plain = plain_bytes(batch)
            self.add(plain)
            yield plain

    def close(self) -> None:
        """End the writing."""
        self._stack.close()

    def groups(self, texts: Packed | None = None, touched: Sequence[Mapped] = ()) -> Numbers:
        """Return for each row the least one of its group: (rows,).

        Args:
            texts: the normalised texts, to compare each pair exactly; None goes by the sketches' estimates.
            touched: what `texts` lies in.
        """
        self.close()
        parent = np.arange(self._size, dtype=np.int32)
        if not self._size:
            return parent
        for keys, rows in self._parts(self._folder / "digests.u8"):
            starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
            parent[rows] = np.repeat(rows[starts], np.diff(np.concatenate([starts, [len(rows)]])))
        copies = parent != np.arange(self._size, dtype=np.int32)
        parent = self._joined(parent, copies, texts, touched)
        while not np.array_equal(above := parent[parent], parent):
            parent = above
        return parent

    def _joined(
        self, parent: Numbers, copies: NDArray[np.bool_], texts: Packed | None, touched: Sequence[Mapped]
    ) -> Numbers:
        """Return for each row one of its group that is not greater, the same one in the end for all of the group."""
        join = Joiner(self._folder, self.how, parent, texts, touched)
        for band in range(self._bands.bands):
            for keys, rows in self._parts(self._band(band), copies):
                join(band, keys, rows)
        return join.parent

    def _parts(self, path: Path, without: NDArray[np.bool_] | None = None) -> Iterator[tuple[Words, Numbers]]:
        """Yield (keys, rows) in the order of the keys, then of the rows; equal keys are in one part."""
        for keys, rows in parts_of(path, self._size, _PART):
            yield in_order(keys, rows, without)


class Joiner:
    """Joins rows whose keys in a band are equal and that are near.

    Args:
        folder: of a `SketchFile` that is whole.
        how: the settings.
        parent: (rows,) of each row one of its group that is not greater; it may be changed.
        texts: the normalised texts, to compare each pair exactly; None goes by the sketches' estimates.
        touched: what `texts` lies in.
    """

    def __init__(
        self, folder: Path, how: MinHash, parent: Numbers, texts: Packed | None, touched: Sequence[Mapped]
    ) -> None:
        self._folder, self._bands, sketches = folder, how.banding.bands, Mapped(folder / "sketches.u4")
        found = sketches.array[: 4 * how.size * len(parent)].view(np.uint32).reshape(-1, how.size)
        self._join = _native(how, found, texts, parent) or _Numpy(how, found, texts, parent)
        self._touched = (sketches, *touched)

    @property
    def parent(self) -> Numbers:
        """(rows,) as given, after the joins."""
        return self._join.parent

    def __call__(self, band: int, keys: Words, rows: Numbers) -> None:
        """Join rows of a band, in the order of their keys."""
        further = np.memmap(band_path(self._folder, (band + 1) % self._bands), np.uint64, mode="r")
        for some in _blocks(keys):
            self._join(keys[some], rows[some], _further(keys[some], rows[some], further))
            for file in self._touched:
                file.release()


def band_path(folder: Path, band: int) -> Path:
    """Return where the keys of a band are."""
    return folder / f"band-{band:04d}.u8"


def in_order(keys: Words, rows: Numbers, without: NDArray[np.bool_] | None) -> tuple[Words, Numbers]:
    """Return keys and rows in the order of the keys, then of the rows; `without` some, those that have a partner."""
    if without is not None:
        kept = ~without[rows]
        keys, rows = keys[kept], rows[kept]
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    if without is not None and len(keys):  # to be looked at: a key of one row has no partner
        same = keys[1:] == keys[:-1]
        kept = np.concatenate([same, [False]]) | np.concatenate([[False], same])
        keys, rows = keys[kept], rows[kept]
    return keys, rows


def _blocks(keys: Words) -> Iterator[slice]:
    """Yield slices of sorted keys, equal ones in one slice."""
    start = 0
    while start < len(keys):
        stop = start + _BLOCK
        stop = len(keys) if stop >= len(keys) else int(np.searchsorted(keys, keys[stop - 1], side="right"))
        yield slice(start, stop)
        start = stop


def _further(keys: Words, rows: Numbers, further: Words) -> Words:
    """Return the rows' keys in another band where a run of equal keys is long; else 0, as nothing looks at them."""
    out = np.zeros(len(keys), dtype=np.uint64)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.concatenate([starts, [len(keys)]]))
    long = np.repeat(sizes > RUN, sizes)
    out[long] = further[rows[long]]
    return out


class _Native:
    """Joins the rows of a band in C."""

    def __init__(
        self, lib: ctypes.CDLL, how: MinHash, found: NDArray[np.uint32], texts: Packed | None, parent: Numbers
    ) -> None:
        self.parent, self._lib = parent, lib
        distinct = np.zeros(len(parent), dtype=np.int32)
        self._held = (found, texts, distinct)  # C has their addresses
        self.join = Join(
            bytes=None if texts is None else address(texts.data),
            starts=None if texts is None else address(texts.starts),
            sketches=address(found),
            size=how.size,
            least=least_equal(how, exact=texts is not None),
            parent=address(parent),
            distinct=address(distinct),
            threshold=how.threshold - 1e-12,
            n=how.ngram,
            word=how.unit == "word",
        )

    def __call__(self, keys: Words, rows: Numbers, further: Words) -> None:
        arrays = [np.ascontiguousarray(array) for array in (keys, rows, further)]
        if self._lib.pf_join(ctypes.byref(self.join), len(keys), *map(address, arrays), RUN):
            raise MemoryError("no memory to compare texts")


def _native(how: MinHash, found: NDArray[np.uint32], texts: Packed | None, parent: Numbers) -> _Native | None:
    lib = library()
    return None if lib is None else _Native(lib, how, found, texts, parent)


class _Numpy:
    """Joins the rows of a band in numpy."""

    def __init__(self, how: MinHash, found: NDArray[np.uint32], texts: Packed | None, parent: Numbers) -> None:
        self.parent = parent
        self._check = Check(found, how, texts)

    def __call__(self, keys: Words, rows: Numbers, further: Words) -> None:
        for low, high in within(keys, further):
            left, right = rows[low].astype(np.int64), rows[high].astype(np.int64)
            apart = self.parent[left] != self.parent[right]
            left, right, _ = self._check(left[apart], right[apart])
            self.parent = joined(self.parent.astype(np.int64), left, right).astype(np.int32)


def digests(plain: Sequence[bytes]) -> Words:
    """Return what is equal for equal texts: (texts,)."""
    return np.array([_digest(text) for text in plain], dtype=np.uint64)


def _digest(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
