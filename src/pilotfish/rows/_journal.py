"""The journal of a shard: a row is finished once its line stands here.

Each line is a checksum and a JSON entry, appended by one system call, so what is left after `kill -9` is whole lines
and at most one torn one at the end, which is cut off. A line with a wrong checksum (a power cut) counts as not written.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.errors import DataError
from pilotfish.rows._atomic import cannot_write
from pilotfish.rows._json import encoded, halves, shown, utf8
from pilotfish.rows._row import Rows


@dataclass(slots=True)
class Entry:
    """How far a row has come.

    Attributes:
        row: its number in the input, from 0.
        done: how many stages are behind it.
        rows: what it has become so far.
        rejects: what was rejected on the way: {"stage", "reason", "raw", "again"}.
    """

    row: int
    done: int
    rows: Rows
    rejects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def again(self) -> bool:
        """True where an endpoint failed, so that another run should try this row anew."""
        return any(reject["again"] for reject in self.rejects)

    @property
    def plain(self) -> dict[str, Any]:
        """What the journal has of it."""
        return {"i": self.row, "d": self.done, "rows": self.rows, "rejects": self.rejects}

    def refuse_halves(self) -> None:
        """Reject the rows that no file of text can hold: what is written would be refused when it is read."""
        for row in self.rows:
            if columns := halves(row):
                reason = f"half a surrogate pair in {', '.join(columns)}"
                self.rejects.append({"stage": "run", "reason": reason, "raw": shown(row), "again": False})
        self.rows = [row for row in self.rows if not halves(row)]


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as it stands in the file.

    Attributes:
        row: its number in the input, from 0.
        done: how many stages are behind it.
        rejected: whether something was rejected on the way.
        data: checksum, entry and line end.
    """

    row: int
    done: int
    rejected: bool
    data: bytes

    @classmethod
    def of(cls, entry: Entry) -> Line:
        """Return the line for an entry; of its rows those that are no text in UTF-8 go to its rejects.

        Raises:
            DataError: it holds what has no form in JSON.
        """
        try:
            try:
                body = utf8(entry.plain)
            except UnicodeEncodeError:
                entry.refuse_halves()
                body = encoded(entry.plain)
        except (TypeError, ValueError) as error:
            raise DataError(f"the result of row {entry.row + 1} has no form in JSON: {error}") from None
        return cls(entry.row, entry.done, bool(entry.rejects), b"%08x %s\n" % (zlib.crc32(body), body))

    @property
    def entry(self) -> Entry:
        """The entry."""
        found = _parsed(self.data)
        assert found is not None
        return found


class Journal:
    """The entries of one shard, on disk; in memory only where they stand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[int, tuple[int, int]] = {}
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            self._end = os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            raise cannot_write(path, error) from error

    @property
    def fileno(self) -> int:
        """The open file, as the system knows it."""
        return self._file

    def load(self) -> dict[int, int]:
        """Return how far each row has come (row -> stages done), and cut off a torn last line.

        An entry that asks for another try does not count; the row goes on from the entry before it, if there is one.
        """
        done: dict[int, int] = {}
        offset = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                entry = _parsed(line)
                if entry is not None and not entry.again:
                    self._places[entry.row] = (offset, len(line))
                    done[entry.row] = entry.done
                offset += len(line)
        if offset != self._end:
            os.ftruncate(self._file, offset)
            self._end = offset
        return done

    def append(self, entries: Iterable[Entry]) -> None:
        """Write entries and hand them to the system; raises as `write`, and where one has no form in JSON."""
        self.write([Line.of(entry) for entry in entries])

    def write(self, lines: Sequence[Line]) -> None:
        """Write lines and hand them to the system.

        Raises:
            DataError: the disk is full or refuses; nothing of these lines is left in the file.
        """
        data = memoryview(b"".join(line.data for line in lines))
        start = written = self._end
        try:
            while data:
                size = os.pwrite(self._file, data, written)
                written += size
                data = data[size:]
        except OSError as error:
            os.ftruncate(self._file, start)
            raise cannot_write(self.path, error) from error
        for line in lines:
            self._places[line.row] = (self._end, len(line.data))
            self._end += len(line.data)

    def entry(self, row: int) -> Entry:
        """Return the last entry of a row.

        Raises:
            DataError: the file was changed from outside.
        """
        offset, size = self._places[row]
        entry = _parsed(os.pread(self._file, size, offset))
        if entry is None or entry.row != row:
            raise DataError(f"{self.path}: changed while the run was going on")
        return entry

    def entries(self) -> Iterator[Entry]:
        """Yield the last entry of each row, in the order of rows."""
        for row in sorted(self._places):
            yield self.entry(row)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _parsed(line: bytes) -> Entry | None:
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(body):
            return None
        data = json.loads(body)
    except ValueError:
        return None
    return Entry(data["i"], data["d"], data["rows"], data["rejects"])
