"""Arrays on disk that only grow: appended to, committed, memory-mapped; what was not committed is cut off.

A column is a file of numbers of one kind. `committed.json`, replaced whole, says how long each is: so a process that is
killed while it writes leaves what it had committed before, and nothing half.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.rows._atomic import atomic, cannot_write

__all__ = ["Appended"]

COMMITTED = "committed.json"


class Appended:
    """Columns of numbers in a folder.

    Args:
        folder: it is made where it is not there.
        columns: name -> dtype, and how wide a row of it is: ("float32", 384); width 1 makes it one number a row.

    Attributes:
        sizes: rows of each column, the ones that are not committed among them.
        facts: what was committed with them.
    """

    def __init__(self, folder: Path, columns: Mapping[str, tuple[str, int]]) -> None:
        self.folder = folder
        self._kinds = {name: (np.dtype(kind), width) for name, (kind, width) in columns.items()}
        self.sizes = dict.fromkeys(columns, 0)
        self.facts: dict[str, Any] = {}
        path = folder / COMMITTED
        if path.is_file():
            told = json.loads(path.read_bytes())
            self.sizes, self.facts = {name: int(told["sizes"][name]) for name in columns}, told["facts"]
        for name, size in self.sizes.items():
            found = self._path(name).stat().st_size if self._path(name).is_file() else 0
            if found < size * self._bytes(name):
                raise DataError(f"{self._path(name)}: is shorter than what was written; make the index anew")

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.bin"

    def _bytes(self, name: str) -> int:
        kind, width = self._kinds[name]
        return int(kind.itemsize) * width

    def append(self, name: str, rows: NDArray[Any]) -> None:
        """Write rows behind a column's last one.

        Raises:
            DataError: the disk is full, or refuses.
        """
        kind, width = self._kinds[name]
        data = np.ascontiguousarray(rows, dtype=kind)
        assert data.size == len(data) * width
        path = self._path(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.truncate(self.sizes[name] * self._bytes(name))  # what a killed process left behind it
                file.seek(0, os.SEEK_END)
                file.write(data.tobytes())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise cannot_write(path, error) from error
        self.sizes[name] += len(data)

    def commit(self, facts: Mapping[str, Any]) -> None:
        """Make what was appended last, with some facts about it.

        Raises:
            DataError: the disk is full, or refuses.
        """
        self.facts = dict(facts)
        with atomic(self.folder / COMMITTED) as file:
            file.write(json.dumps({"sizes": self.sizes, "facts": self.facts}).encode())

    def read(self, name: str) -> NDArray[Any]:
        """Return a column, memory-mapped: (rows,), or (rows, width)."""
        kind, width = self._kinds[name]
        rows = self.sizes[name]
        shape = (rows, width) if width > 1 else (rows,)
        if not rows:
            return np.zeros(shape, kind)
        return np.memmap(self._path(name), kind, mode="r", shape=shape)
