"""The passages of an index, in one SQLite file: appended in order, so a row keeps its number; deleted by a mark."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError, did_you_mean
from pilotfish.retrieve.found import Passage
from pilotfish.rows._json import plain
from pilotfish.rows._sqlite import Kind

__all__ = ["Added", "Collection"]

KIND = Kind(
    what="index's passages",
    application=0x50464958,  # PFIX
    schema=1,
    create=(
        "CREATE TABLE document (id TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE passage (row INTEGER PRIMARY KEY, id TEXT, document TEXT, title TEXT, text TEXT,"
        " start INTEGER, stop INTEGER, fields TEXT, deleted INTEGER NOT NULL DEFAULT 0)",
        "CREATE INDEX passages ON passage (document) WHERE deleted = 0",
        "CREATE UNIQUE INDEX ids ON passage (id) WHERE deleted = 0",
    ),
    remedy="make the index anew",
)
_FIELDS = "row, id, document, title, text, start, stop, fields"
_SOME = 500  # numbers in one question


@dataclass(frozen=True)
class Added:
    """What came of some documents.

    Attributes:
        new: documents that were not there.
        changed: documents that were there with another text; their old passages are deleted.
        same: documents that were there as they are; nothing is done about them.
        passages: rows appended.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    passages: int = 0

    def __add__(self, other: Added) -> Added:
        return Added(
            self.new + other.new,
            self.changed + other.changed,
            self.same + other.same,
            self.passages + other.passages,
        )


class Collection:
    """Passages by their rows.

    Args:
        path: the file; it is made where there is none.

    Raises:
        DataError: the file is no index's, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._database = KIND.open(path)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _asked(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._database
            except sqlite3.Error as error:
                raise KIND.problem(error, self.path) from error

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._asked() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    @property
    def rows(self) -> int:
        """How many rows there are, deleted ones among them."""
        return self._number("SELECT coalesce(max(row) + 1, 0) FROM passage")

    @property
    def live(self) -> int:
        """How many passages there are."""
        return self._number("SELECT count(*) FROM passage WHERE deleted = 0")

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return self._number("SELECT count(*) FROM document")

    def _number(self, question: str) -> int:
        with self._asked() as database:
            return int(database.execute(question).fetchone()[0])

    @property
    def deleted(self) -> NDArray[np.int64]:
        """The rows that are deleted, in order."""
        with self._asked() as database:
            found = database.execute("SELECT row FROM passage WHERE deleted = 1 ORDER BY row").fetchall()
        return np.array([row for (row,) in found], np.int64)

    def add(self, documents: Sequence[Sequence[Passage]]) -> Added:
        """Append documents, each given as its passages, in one go: all of them last when this returns, or none.

        A document whose id is there is the same, or takes the place of the old one.

        Raises:
            DataError: an id of a passage that is another document's, or a field that has no form in JSON.
        """
        new = changed = same = appended = 0
        with self._change() as database:
            row = int(database.execute("SELECT coalesce(max(row) + 1, 0) FROM passage").fetchone()[0])
            for passages in documents:
                name = passages[0].document or passages[0].id
                values = [_values(one, name) for one in passages]
                digest = hashlib.sha256(json.dumps(values).encode("utf-8", "surrogatepass")).digest()[:16]
                held = database.execute("SELECT digest FROM document WHERE id = ?", (name,)).fetchone()
                if held is not None and held[0] == digest:
                    same += 1
                    continue
                if held is not None:
                    _delete(database, [name])
                    changed += 1
                else:
                    new += 1
                database.execute("INSERT INTO document VALUES (?, ?)", (name, digest))
                for one in values:
                    try:
                        database.execute(f"INSERT INTO passage VALUES ({'?, ' * 8}0)", (row, *one))  # noqa: S608
                    except sqlite3.IntegrityError:
                        raise DataError(
                            f"document {name!r}: another document has a passage called {one[0]!r}"
                        ) from None
                    row += 1
                appended += len(values)
        return Added(new, changed, same, appended)

    def names(self) -> list[str]:
        """Return the ids of the documents that are there, in order."""
        with self._asked() as database:
            return [name for (name,) in database.execute("SELECT id FROM document ORDER BY id")]

    def delete(self, documents: Sequence[str]) -> int:
        """Delete documents by their ids; return how many passages went. Their rows stay, empty.

        Raises:
            DataError: an id that is not there; then none is deleted.
        """
        with self._change() as database:
            for name in documents:
                if database.execute("SELECT 1 FROM document WHERE id = ?", (name,)).fetchone() is None:
                    near = database.execute("SELECT id FROM document ORDER BY id LIMIT 1000").fetchall()
                    raise DataError(
                        f"{self.path.parent}: no document {name!r}{did_you_mean(name, (i for (i,) in near))}"
                    )
            return _delete(database, dict.fromkeys(documents))

    def texts(self, start: int, stop: int) -> list[str]:
        """Return what is searched of some rows, "" of those that are deleted."""
        return [one.searched for one in self._read("row >= ? AND row < ? ORDER BY row", (start, stop))]

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return passages by their rows, in the order asked for."""
        wanted = list(dict.fromkeys(int(row) for row in rows))
        found: dict[int, Passage] = {}
        for at in range(0, len(wanted), _SOME):
            some = wanted[at : at + _SOME]
            asked = ", ".join("?" * len(some))
            with self._asked() as database:
                told = database.execute(f"SELECT {_FIELDS} FROM passage WHERE row IN ({asked})", some).fetchall()  # noqa: S608
            found |= {values[0]: _passage(values) for values in told}
        return [found[int(row)] for row in rows]

    def rows_of(self, documents: Sequence[str]) -> dict[str, int]:
        """Return the first row of each document that is there, by their ids."""
        found: dict[str, int] = {}
        for at in range(0, len(documents), _SOME):
            some = documents[at : at + _SOME]
            asked = ", ".join("?" * len(some))
            with self._asked() as database:
                told = database.execute(
                    f"SELECT document, min(row) FROM passage WHERE deleted = 0 AND document IN ({asked})"  # noqa: S608
                    " GROUP BY document",
                    some,
                ).fetchall()
            found |= dict(told)
        return found

    def __iter__(self) -> Iterator[Passage]:
        """Yield the passages, in the order of their rows."""
        at = 0
        while at < self.rows:
            yield from self._read("row >= ? AND row < ? AND deleted = 0 ORDER BY row", (at, at + _SOME))
            at += _SOME

    def _read(self, where: str, values: Iterable[Any]) -> list[Passage]:
        with self._asked() as database:
            found = database.execute(f"SELECT {_FIELDS} FROM passage WHERE {where}", tuple(values)).fetchall()  # noqa: S608
        return [_passage(one) for one in found]


def _values(passage: Passage, document: str) -> tuple[Any, ...]:
    try:
        fields = json.dumps(dict(passage.fields), default=plain, sort_keys=True)
    except TypeError as error:
        raise DataError(f"document {document!r}: its fields have no form in JSON: {error}") from None
    return (passage.id, document, passage.title, passage.text, passage.start, passage.end, fields)


def _passage(values: tuple[Any, ...]) -> Passage:
    _, name, document, title, text, start, stop, fields = values
    return Passage(name, text, title, document, start, stop, json.loads(fields))


def _delete(database: sqlite3.Connection, documents: Iterable[str]) -> int:
    """Mark the passages of documents as deleted, and forget what they said."""
    gone = 0
    for name in documents:
        database.execute("DELETE FROM document WHERE id = ?", (name,))
        gone += database.execute(
            "UPDATE passage SET deleted = 1, title = '', text = '', fields = '{}' WHERE document = ? AND deleted = 0",
            (name,),
        ).rowcount
    return gone
