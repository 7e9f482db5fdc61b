"""Stages for workers in other processes, which import this file: it takes little to load."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from pilotfish.errors import DataError
from pilotfish.rows import Row, Rows, RowStage, Stage
from pilotfish.rows.stage import Outcome


class Fan(RowStage):
    """row n: dropped, kept, doubled, or rejected, by n mod 4."""

    def each(self, row: Row) -> Outcome:
        kind = row["n"] % 4
        if kind == 0:
            return None
        if kind == 3:
            raise DataError("three: mod 4")
        return [row | {"copy": copy} for copy in range(kind)]


class Once(Stage):
    """Does `what` at one row, the first time that it comes."""

    batch_size = 8

    def __init__(self, at: int, flag: Path, what: str = "kill", column: str = "n") -> None:
        self.at, self.column, self._flag, self._what = at, column, flag, what

    def process(self, rows: Rows) -> Rows:
        if any(row[self.column] == self.at for row in rows) and (self._what != "kill" or not self._flag.exists()):
            self._flag.touch()
            if self._what == "raise":
                raise ZeroDivisionError("as told")
            os.kill(os.getpid(), signal.SIGKILL)
        return rows


class Loaded(Stage):
    """Counts how often it is set up, in which process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def setup(self) -> None:
        with (self._folder / str(os.getpid())).open("a") as file:
            file.write("set up\n")

    def process(self, rows: Rows) -> Rows:
        time.sleep(0.01)
        return rows


def longer(row: Row) -> Row:
    return row | {"length": len(row["text"]), "sign": "ß — 你好"}
