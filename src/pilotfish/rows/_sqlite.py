"""Opening SQLite files of ours: of the right kind and version, for their owner alone, in write-ahead mode."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from pilotfish.errors import DataError

__all__ = ["Kind"]

_making = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child of a fork in the middle of `_make` would wait for ever
    os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release)


@dataclass(frozen=True)
class Kind:
    """One kind of file, such as the decision log.

    Attributes:
        what: what errors call it, "decision log".
        application: the number in the file that tells this kind.
        schema: the version of its tables.
        create: the statements that make them.
        remedy: what to do with a damaged one.
    """

    what: str
    application: int
    schema: int
    create: tuple[str, ...]
    remedy: str = "move it away"

    def open(self, path: Path) -> sqlite3.Connection:
        """Return a connection to the file, which is made where there is none.

        Write-ahead logging lets others read while one writes; a committed row survives `kill -9` of the process.

        Raises:
            DataError: the file cannot be opened, is of another kind, or has another version.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path)
        except OSError as error:
            raise DataError(f"the {self.what} {path} cannot be opened: {error.strerror}") from None
        try:
            connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise self.problem(error, path) from None
        try:
            self._prepare(connection, path)
            # NORMAL loses no commit when the process dies; only a power cut may take the last ones, never the file.
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error as error:
            connection.close()
            raise self.problem(error, path) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def problem(self, error: sqlite3.Error, path: Path) -> DataError:
        """Return SQLite's error as one line that says what to do."""
        primary = _primary(error)
        if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return DataError(f"the {self.what} {path} is damaged ({error}): {self.remedy}, or name another file")
        if primary == sqlite3.SQLITE_FULL:
            return DataError(f"no room left on the disk of the {self.what} {path}")
        if primary == sqlite3.SQLITE_BUSY:
            return DataError(f"the {self.what} {path} stays locked by another process")
        return DataError(f"the {self.what} {path} cannot be used: {error}")

    def _prepare(self, connection: sqlite3.Connection, path: Path) -> None:
        """Make a new file ours, or check that an old one is."""
        end = time.monotonic() + 30
        while True:  # SQLite does not wait by itself when two processes switch a new file to WAL at once
            try:
                while self._is_new(connection, path):
                    self._create(connection)
                return
            except sqlite3.OperationalError as error:
                if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                time.sleep(0.01)

    def _is_new(self, connection: sqlite3.Connection, path: Path) -> bool:
        """Say whether the file is empty; what is in it must be ours, and of this version."""
        looks = ("SELECT count(*) FROM sqlite_master", "PRAGMA application_id", "PRAGMA user_version")
        connection.execute("BEGIN")  # all looks at one moment
        tables, application, version = (connection.execute(look).fetchone()[0] for look in looks)
        connection.execute("COMMIT")
        if application != self.application:
            if application or version or tables:
                raise DataError(f"{path} is a database of another program, not a {self.what}: name another file")
            return True
        if version != self.schema:
            said = f"has version {version}, this Pilotfish reads {self.schema}"
            raise DataError(f"the {self.what} {path} {said}: name another file")
        return False

    def _create(self, connection: sqlite3.Connection) -> None:
        """Make the tables, unless another process has done so meanwhile."""
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # what is deleted frees its pages
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA application_id").fetchone()[0] == 0:
            for statement in self.create:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {self.application}")
            connection.execute(f"PRAGMA user_version = {self.schema}")
        connection.execute("COMMIT")


def _make(path: Path) -> None:
    """Make an empty file for its owner alone where there is none.

    A file that is there is not even opened: closing it would end every lock that this process holds on it (POSIX), and
    with them those of SQLite's other connections. Another process would then take the write-ahead log for its own to
    delete, and what we write would be lost without an error.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with contextlib.suppress(FileExistsError), _making:
        # A link that leads to no file counts as one that is there: so what it leads to is made.
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _primary(error: sqlite3.Error) -> int:
    """Return the first part of SQLite's error code; 0 where the error is Python's own."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
