"""The decision log in an SQLite file: one writes while others read."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pilotfish.rows._sqlite import Kind
from pilotfish.serve._log_row import COLUMNS

__all__ = ["SqliteStore"]

_CREATE = (
    f"CREATE TABLE served (seq INTEGER PRIMARY KEY AUTOINCREMENT, {', '.join(f'{n} {t}' for n, t in COLUMNS.items())})",
    "CREATE INDEX served_time ON served (time)",
    "CREATE INDEX served_id ON served (id)",
    "CREATE TABLE ratings (id TEXT NOT NULL, model TEXT NOT NULL, quality REAL NOT NULL, PRIMARY KEY (id, model))",
    "CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
)
_KIND = Kind("decision log", application=0x50464453, schema=1, create=_CREATE)  # "PFDS"
_INSERT = f"INSERT INTO served ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
_RATINGS = "(SELECT json_group_object(model, quality) FROM ratings WHERE ratings.id = served.id)"


class SqliteStore:
    """See `Store`; one connection writes and one reads, each behind a lock.

    Raises:
        DataError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._locks = {"write": threading.Lock(), "read": threading.Lock()}
        self._connections = {name: _KIND.open(path) for name in self._locks}

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows in one transaction."""
        with self._using("write") as connection, _transaction(connection):
            connection.executemany(_INSERT, rows)

    def rate(self, id: str, model: str, quality: float) -> None:
        """Note a quality."""
        with self._using("write") as connection:
            connection.execute("INSERT OR REPLACE INTO ratings VALUES (?, ?, ?)", (id, model, quality))

    def rows(
        self,
        columns: Sequence[str],
        since: float | None,
        until: float | None,
        model: str | None,
        after: int | None,
        limit: int | None,
        oldest: bool = False,
        id: str | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return rows that fit, oldest first."""
        tests = [("time >= ?", since), ("time < ?", until), ("model = ?", model), ("seq > ?", after), ("id = ?", id)]
        where = [test for test, value in tests if value is not None]
        values = [value for _, value in tests if value is not None]
        # The names are our own, never a caller's text.
        statement = f"SELECT seq, {', '.join(columns)}, {_RATINGS} FROM served"  # noqa: S608
        if where:
            statement += f" WHERE {' AND '.join(where)}"
        # By time where a time is asked for: by `seq` a quiet hour would be looked for in all rows of a long log.
        by = "seq" if oldest else "seq DESC" if since is None and until is None else "time DESC, seq DESC"
        with self._using("read") as connection:
            found = connection.execute(
                f"{statement} ORDER BY {by} LIMIT ?", (*values, -1 if limit is None else limit)
            ).fetchall()
        return found if oldest else found[::-1]

    def forget(self, before: float) -> int:
        """Drop old rows, and give their room back."""
        with self._using("write") as connection:
            with _transaction(connection):
                count = connection.execute("DELETE FROM served WHERE time < ?", (before,)).rowcount
                connection.execute("DELETE FROM ratings WHERE id NOT IN (SELECT id FROM served)")
            connection.executescript("PRAGMA incremental_vacuum")
        return count

    def salt(self) -> bytes:
        """Return the file's own random bytes."""
        with self._using("write") as connection:
            connection.execute("INSERT OR IGNORE INTO about VALUES ('salt', ?)", (os.urandom(16),))
            return bytes(connection.execute("SELECT value FROM about WHERE name = 'salt'").fetchone()[0])

    def close(self) -> None:
        """Close both connections."""
        for name, lock in self._locks.items():
            with lock:
                self._connections[name].close()

    @contextmanager
    def _using(self, name: str) -> Iterator[sqlite3.Connection]:
        with self._locks[name]:
            try:
                yield self._connections[name]
                return
            except sqlite3.Error as error:
                trouble = _KIND.problem(error, self.path)
        raise trouble


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
