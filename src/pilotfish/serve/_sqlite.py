"""Opening the gateway's SQLite files: ours and of this version, for their owner alone, in write-ahead mode."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from pilotfish.errors import DataError

__all__ = ["open_file", "problem"]

_making = threading.Lock()


def open_file(path: Path, what: str, application: int, schema: int, create: Sequence[str]) -> sqlite3.Connection:
    """Return a connection to a file of ours, which is made where there is none.

    Write-ahead logging lets others read while one writes; a committed row survives `kill -9` of the process.

    Args:
        path: the file.
        what: what the file is called in errors, "decision log".
        application: the number that tells this kind of file.
        schema: the version of its tables.
        create: the statements that make them.

    Raises:
        DataError: the file cannot be opened, is no such file, or has another version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path)
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise DataError(f"the {what} {path} cannot be opened: {error.strerror}") from None
    try:
        _check(connection, path, what, application, schema, create)
        # NORMAL loses no commit when the process dies; only a power cut may take the last ones, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error as error:
        connection.close()
        raise problem(error, path, what) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _make(path: Path) -> None:
    """Make an empty file for its owner alone where there is none.

    A file that is there is not even opened: closing it would end every lock that this process holds on it (POSIX), and
    with them those of SQLite's other connections. Another process would then take the write-ahead log for its own to
    delete, and what we write would be lost without an error.
    """
    with contextlib.suppress(FileExistsError), _making:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def problem(error: sqlite3.Error, path: Path, what: str) -> DataError:
    """Return SQLite's error as one line that says what to do."""
    primary = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DataError(f"the {what} {path} is damaged ({error}): move it away, or name another file")
    if primary == sqlite3.SQLITE_FULL:
        return DataError(f"no room left on the disk of the {what} {path}")
    if primary == sqlite3.SQLITE_BUSY:
        return DataError(f"the {what} {path} stays locked by another process")
    return DataError(f"the {what} {path} cannot be used: {error}")


def _check(
    connection: sqlite3.Connection, path: Path, what: str, application: int, schema: int, create: Sequence[str]
) -> None:
    """Make a new file ours, or check that an old one is."""
    end = time.monotonic() + 30
    while True:  # SQLite does not wait by itself when two processes switch a new file to WAL at once
        try:
            connection.execute("BEGIN")  # both looks at one moment
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            connection.execute("COMMIT")
            if found != application and (found or tables):
                raise DataError(f"{path} is a database of another program, not a {what}: name another file")
            if found != application:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # what is forgotten frees its pages
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            time.sleep(0.01)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        for statement in create:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {application}")
        connection.execute(f"PRAGMA user_version = {schema}")
    connection.execute("COMMIT")
    if version not in (0, schema):
        raise DataError(f"the {what} {path} has version {version}, this Pilotfish reads {schema}: name another file")
