"""A shard: a file of records, and an index that says which of them are whole.

Records are appended and on the disk before their index entries are, so what stands in the index is there. An entry
carries its own checksum and that of its records; after `kill -9` a torn last entry, and records without an entry, count
as not written.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.rows._atomic import cannot_write, sync

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ENTRY", "Shard", "numbers"]

# An example: its key, its first record in the shard and how many they are, and two CRC-32.
ENTRY = np.dtype([("key", "V32"), ("start", "<u8"), ("count", "<u4"), ("records", "<u4"), ("own", "<u4")])
_CHECKED = ENTRY.itemsize - 4  # all but the entry's own checksum


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the shards in a folder, rising."""
    return sorted(int(path.stem.removeprefix("shard-")) for path in folder.glob("shard-*.index"))


class Shard:
    """One shard of a folder.

    Args:
        folder: where it is.
        number: its number.
        record: bytes of a record.
    """

    def __init__(self, folder: Path, number: int, record: int) -> None:
        self.data = folder / f"shard-{number:05d}.records"
        self.index = folder / f"shard-{number:05d}.index"
        self.number = number
        self.record = record

    def entries(self) -> NDArray[Any]:
        """Return the entries of `ENTRY` that are whole, in the order they were written."""
        if not self.index.is_file() or not self.data.is_file():
            return np.zeros(0, ENTRY)
        raw = self.index.read_bytes()
        raw = raw[: len(raw) // ENTRY.itemsize * ENTRY.itemsize]
        found = np.frombuffer(raw, ENTRY)
        held = self.data.stat().st_size // self.record
        ends = np.cumsum(found["count"], dtype=np.uint64)
        # The entries stand for the records without a gap; the first that does not ends what can be trusted.
        whole = (found["start"] == ends - found["count"]) & (ends <= held)
        for i in np.flatnonzero(whole):
            at = int(i) * ENTRY.itemsize
            whole[i] = zlib.crc32(raw[at : at + _CHECKED]) == found["own"][i]
        bad = np.flatnonzero(~whole)
        return found[: bad[0]] if len(bad) else found

    def trim(self) -> NDArray[Any]:
        """Cut off what is not whole, so that more can be appended, and return the entries that stay.

        Raises:
            DataError: the disk refuses.
        """
        found = self.entries()
        records = int(found["count"].sum(dtype=np.int64))
        try:
            for path, size in ((self.index, len(found) * ENTRY.itemsize), (self.data, records * self.record)):
                with path.open("ab") as file:  # makes the file where there is none
                    file.truncate(size)
                    os.fsync(file.fileno())
            sync(self.data.parent)
        except OSError as error:
            raise cannot_write(self.data, error) from error
        return found

    def append(self, start: int, batch: Iterable[tuple[bytes, NDArray[np.uint8]]]) -> NDArray[Any]:
        """Append examples (key, records) to the disk, `start` records being there, and return their entries.

        Raises:
            DataError: the disk is full or refuses; the shard must be trimmed before more is appended.
        """
        entries, pieces = [], []
        for key, records in batch:
            piece = np.ascontiguousarray(records).tobytes()
            entry = np.zeros(1, ENTRY)
            entry["key"], entry["start"], entry["count"] = np.void(key), start, len(records)
            entry["records"] = zlib.crc32(piece)
            entry["own"] = zlib.crc32(entry.tobytes()[:_CHECKED])
            entries.append(entry)
            pieces.append(piece)
            start += len(records)
        made = np.concatenate(entries)
        try:
            for path, content in ((self.data, b"".join(pieces)), (self.index, made.tobytes())):
                with path.open("ab") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise cannot_write(self.data, error) from error
        return made

    def mapped(self, records: int) -> NDArray[np.uint8]:
        """Return the first `records` records as a memory map, (records, record)."""
        return np.memmap(self.data, np.uint8, "r", shape=(records, self.record))
