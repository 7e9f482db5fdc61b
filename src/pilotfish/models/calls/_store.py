"""Finished calls by the hash of their whole request, in one SQLite file: what was paid for is never asked again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pilotfish.model import Call, Reply, Request, Trace
from pilotfish.models.cache import decode_reply, encode_reply
from pilotfish.rows._sqlite import Kind
from pilotfish.rows.asking import Bill

__all__ = ["CallStore", "keys_of"]

_CREATE = (
    "CREATE TABLE calls (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, loose BLOB NOT NULL, created REAL NOT NULL, "
    "calls INTEGER NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, seconds REAL NOT NULL, "
    "cost REAL, finish TEXT NOT NULL, reply TEXT NOT NULL)",
    "CREATE INDEX by_loose ON calls (loose)",
)
_KIND = Kind("store of calls", application=0x50465359, schema=1, create=_CREATE)  # "PFSY"


def keys_of(model: str, request: Request) -> tuple[bytes, bytes]:
    """Return a request's key, of all that can change the answer, and its loose one, of all but the room it has."""
    body = request.to_json()
    sample = request.metadata.get("sample")

    def hashed(told: dict[str, Any]) -> bytes:
        return hashlib.sha256(json.dumps([model, told, sample], sort_keys=True).encode()).digest()

    return hashed(body), hashed({name: value for name, value in body.items() if name != "max_tokens"})


class CallStore:
    """What a model said, with what it took.

    Args:
        path: the file; made where there is none. It holds no key of an endpoint, and answers in plain text.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def get(self, key: bytes) -> Reply | None:
        """Return the reply to a request; None where it has not been asked.

        Raises:
            DataError: the file cannot be used.
        """
        with self._using() as connection:
            row = connection.execute(_SELECT + "WHERE key = ?", (key,)).fetchone()
        return None if row is None else _reply(row)

    def get_loose(self, loose: bytes, max_tokens: int | None) -> Reply | None:
        """Return a reply to the request with another `max_tokens` that came to its end and has room in the new one."""
        room = 1 << 62 if max_tokens is None else max_tokens
        with self._using() as connection:
            row = connection.execute(
                _SELECT + "WHERE loose = ? AND finish != 'length' AND tokens_out <= ? ORDER BY id LIMIT 1",
                (loose, room),
            ).fetchone()
        return None if row is None else _reply(row)

    def put(self, key: bytes, loose: bytes, reply: Reply) -> Bill:
        """Keep a reply, and return what it took; it survives `kill -9` once this returns."""
        bill = Bill.of(reply)
        row = (key, loose, time.time(), bill.calls, bill.tokens_in, bill.tokens_out, bill.seconds, bill.cost)
        told = json.dumps(encode_reply(reply), ensure_ascii=False, separators=(",", ":"))
        with self._using() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO calls (key, loose, created, calls, tokens_in, tokens_out, seconds, cost, "
                "finish, reply) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, reply.finish_reason, told),
            )
        return bill

    def bill(self) -> Bill:
        """Return what all calls took; the cost is None where one's price was not known."""
        with self._using() as connection:
            calls, tokens_in, tokens_out, seconds, cost, unknown = connection.execute(
                "SELECT sum(calls), sum(tokens_in), sum(tokens_out), sum(seconds), sum(cost), sum(cost IS NULL) "
                "FROM calls"
            ).fetchone()
        return Bill(calls or 0, tokens_in or 0, tokens_out or 0, seconds or 0.0, None if unknown else cost or 0.0)

    def bill_of(self, key: bytes) -> Bill:
        """Return what one call took; nothing where it has not been made."""
        with self._using() as connection:
            told = connection.execute(
                "SELECT calls, tokens_in, tokens_out, seconds, cost FROM calls WHERE key = ?", (key,)
            ).fetchone()
        return Bill() if told is None else Bill(*told)

    def __len__(self) -> int:
        with self._using() as connection:
            return int(connection.execute("SELECT count(*) FROM calls").fetchone()[0])

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = _KIND.open(self.path)
                yield self._connection
                return
            except sqlite3.Error as error:
                problem = _KIND.problem(error, self.path)
        raise problem


_SELECT = "SELECT tokens_in, tokens_out, seconds, cost, reply FROM calls "


def _reply(row: Any) -> Reply:
    tokens_in, tokens_out, seconds, cost, told = row
    call = Call("stored", "model", tokens_in, tokens_out, seconds, cost, cached=True, why="asked before")
    return decode_reply(json.loads(told)).with_(trace=Trace((call,)))
