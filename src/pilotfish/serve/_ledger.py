"""What each key has spent in each period: in memory, or in a file that outlives the process and that several share."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import defaultdict
from pathlib import Path

from pilotfish.rows._sqlite import Kind

__all__ = ["Ledger"]

_CREATE = (
    "CREATE TABLE spent (key TEXT NOT NULL, span TEXT NOT NULL, dollars REAL NOT NULL, PRIMARY KEY (key, span))",
)
_KIND = Kind("budget file", application=0x50464C47, schema=1, create=_CREATE)  # "PFLG"
_ADD = (
    "INSERT INTO spent (key, span, dollars) VALUES (?, ?, ?) "
    "ON CONFLICT (key, span) DO UPDATE SET dollars = dollars + excluded.dollars"
)
_ALL = "SELECT key, span, dollars FROM spent"
# The newest month that the file tells of, its days, and "ever": the rows that may still change.
_PRESENT = (
    "SELECT key, span, dollars FROM spent WHERE span >= "
    "(SELECT coalesce(substr(max(span), 1, 7), '') FROM spent WHERE span < 'a')"
)
_LOG = logging.getLogger("pilotfish.serve")


class Ledger:
    """Dollars by key and span of time ("2026-05-01", "2026-05", "ever").

    With a file, a thread writes within moments what was added, and reads each `every` seconds what other processes
    added, so that no request waits for the disk. `kill -9` loses what was added in the last moments.

    Args:
        path: the file; None keeps everything in memory.
        every: seconds between two looks at what others added.

    Raises:
        DataError: the file cannot be used.
    """

    def __init__(self, path: str | Path | None = None, every: float = 1.0) -> None:
        self.path = None if path is None else Path(path)
        self._every = every
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], float] = {}  # what the file says
        self._new: defaultdict[tuple[str, str], float] = defaultdict(float)  # what it does not say yet
        self._wake, self._closing = threading.Event(), False
        self._thread: threading.Thread | None = None
        if self.path is not None:
            self._file = _KIND.open(self.path)
            self._known = self._read(_ALL)
            self._version = 0  # changes when another process writes
            self._thread = threading.Thread(target=self._run, name="pilotfish-ledger", daemon=True)
            self._thread.start()

    def add(self, key: str, span: str, dollars: float) -> None:
        """Count dollars; `spent` tells them at once."""
        with self._lock:
            self._new[key, span] += dollars
        self._wake.set()

    def spent(self, key: str, span: str) -> float:
        """Return the dollars that a key has spent in a span."""
        with self._lock:
            return self._known.get((key, span), 0.0) + self._new.get((key, span), 0.0)

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._file.close()

    def _run(self) -> None:
        troubled = False
        while True:
            self._wake.wait(self._every)
            self._wake.clear()  # before the look at what woke it: what comes later wakes it again
            closing = self._closing
            try:
                self._write()
                troubled = False
            except sqlite3.Error as error:
                assert self.path is not None
                if not troubled:
                    _LOG.warning("%s; budgets hold on in memory", _KIND.problem(error, self.path))
                troubled = True
                self._wake.wait(self._every)  # do not spin while the disk is full
            if closing:
                return

    def _write(self) -> None:
        with self._lock:
            batch = dict(self._new)
        version = self._file.execute("PRAGMA data_version").fetchone()[0]
        if not batch and version == self._version:
            return
        if batch:
            self._file.execute("BEGIN IMMEDIATE")
        try:
            self._file.executemany(_ADD, [(key, span, dollars) for (key, span), dollars in batch.items()])
            known = self._read(_PRESENT)
            if batch:
                self._file.execute("COMMIT")
        except BaseException:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise
        self._version = version
        with self._lock:
            self._known |= known
            for at, dollars in batch.items():
                if at not in known:
                    self._known[at] = self._known.get(at, 0.0) + dollars
                self._new[at] -= dollars
                if abs(self._new[at]) < 1e-12:
                    del self._new[at]

    def _read(self, which: str) -> dict[tuple[str, str], float]:
        return {(key, span): dollars for key, span, dollars in self._file.execute(which)}
