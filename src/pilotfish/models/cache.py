"""Replies that were paid for once, kept in SQLite, so that the same request costs nothing the second time.

The file holds replies under the SHA-256 of the whole request: no prompt, no key, no header. Write-ahead logging lets
any number of threads and processes read while one writes; a committed reply survives `kill -9` of the process.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pilotfish._home import home
from pilotfish.model import Call, Reply, TokenLogprob, ToolCall, Trace
from pilotfish.rows._sqlite import Kind

__all__ = ["ReplyCache", "decode_reply", "default_cache", "encode_reply"]

_PRUNE_EVERY = 256  # replies between two looks at the size
_CREATE = (
    "CREATE TABLE replies (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, created REAL NOT NULL, "
    "reply TEXT NOT NULL)",
    "CREATE INDEX by_age ON replies (created)",
)
_KIND = Kind("reply cache", application=0x50464953, schema=1, create=_CREATE, remedy="delete it")  # "PFIS"


def default_cache() -> Path:
    """Return the user's own cache file."""
    return home() / "replies.sqlite"


class ReplyCache:
    """Whole replies by request key, in one SQLite file.

    One connection reads and one writes, each behind a lock; they open on first use, again after a fork, and in the
    process that unpickles a copy. When the replies outgrow `max_bytes`, the oldest go.
    """

    def __init__(self, path: str | Path, max_bytes: int = 4 << 30) -> None:
        self.path = Path(path)
        self.max_bytes = max_bytes
        self._reset()

    def __repr__(self) -> str:
        return f"ReplyCache({str(self.path)!r})"

    def __reduce__(self) -> tuple[type[ReplyCache], tuple[Path, int]]:
        return ReplyCache, (self.path, self.max_bytes)

    def get(self, key: bytes, model: str) -> Reply | None:
        """Return the reply kept under `key`, its call marked cached at no cost; None where there is none.

        Args:
            key: 32 bytes, as `put` was given.
            model: the name that the call in the trace shows.

        Raises:
            DataError: the file is damaged, no cache, or of a newer version.
        """
        start = time.perf_counter()
        with self._using("_reader") as reader:
            row = reader.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        data = json.loads(row[0])
        reply = decode_reply(data)
        seconds = time.perf_counter() - start
        call = Call(model, "model", data["in"], data["out"], seconds, 0.0, cached=True, why="reply cache")
        return reply.with_(trace=Trace((call,)))

    def put(self, key: bytes, reply: Reply) -> None:
        """Keep a whole reply; it is on its way to the disk when this returns.

        Raises:
            DataError: as in `get`, or the disk is full.
        """
        usage = reply.usage
        data = {**encode_reply(reply), "in": usage.tokens_in, "out": usage.tokens_out}
        row = (key, time.time(), json.dumps(data, separators=(",", ":")))
        with self._using("_writer") as writer:
            writer.execute("INSERT OR REPLACE INTO replies (key, created, reply) VALUES (?, ?, ?)", row)
            self._puts += 1
            full = self._puts % _PRUNE_EVERY == 0 and _used(writer) > self.max_bytes
        if full:
            self.prune()

    def prune(self, max_bytes: int | None = None, older_than: float | None = None) -> int:
        """Drop the replies older than `older_than` seconds, then the oldest until the rest fits; return how many.

        Args:
            max_bytes: the size to come down to; 9/10 of the cache's own limit where None, so that pruning is rare.
            older_than: seconds; None keeps replies of any age.
        """
        limit = self.max_bytes * 9 // 10 if max_bytes is None else max_bytes
        dropped = 0
        with self._using("_writer") as writer:
            if older_than is not None:
                dropped += writer.execute("DELETE FROM replies WHERE created < ?", (time.time() - older_than,)).rowcount
            while (rows := _count(writer)) and _used(writer) > limit:
                oldest = "DELETE FROM replies WHERE id IN (SELECT id FROM replies ORDER BY created, id LIMIT ?)"
                dropped += writer.execute(oldest, (max(1, rows // 20),)).rowcount
            writer.executescript("PRAGMA incremental_vacuum")  # `execute` would step once, and free one page
        return dropped

    def __len__(self) -> int:
        with self._using("_reader") as reader:
            return _count(reader)

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        for name in ("_reader", "_writer"):
            with self._locks[name]:
                connection = self._connections.pop(name, None)
                if connection is not None and self._pid == os.getpid():
                    connection.close()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._locks = {"_reader": threading.Lock(), "_writer": threading.Lock()}
        self._connections: dict[str, sqlite3.Connection] = {}
        self._puts = 0

    @contextmanager
    def _using(self, name: str) -> Iterator[sqlite3.Connection]:
        """Give the named connection to this thread alone; turn SQLite's errors into one clear line."""
        if self._pid != os.getpid():
            self._reset()  # SQLite connections must not cross a fork
        with self._locks[name]:
            try:
                if name not in self._connections:
                    self._connections[name] = _KIND.open(self.path)
                yield self._connections[name]
                return
            except sqlite3.Error as error:
                problem = _KIND.problem(error, self.path)
        raise problem


def _count(connection: sqlite3.Connection) -> int:
    """Return the number of replies."""
    return int(connection.execute("SELECT count(*) FROM replies").fetchone()[0])


def _used(connection: sqlite3.Connection) -> int:
    """Return the bytes in use: pages, less those that deletions have freed."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def encode_reply(reply: Reply) -> dict[str, Any]:
    """Return a reply as plain data, without its trace."""
    logprobs = reply.logprobs
    return {
        "text": reply.text,
        "finish": reply.finish_reason,
        "calls": [[call.id, call.name, call.arguments] for call in reply.tool_calls],
        "logprobs": None if logprobs is None else [[row.token, row.logprob, row.top] for row in logprobs],
        "choices": [encode_reply(choice) for choice in reply.choices],
    }


def decode_reply(data: dict[str, Any]) -> Reply:
    """Return the reply of what `encode_reply` gave, without a trace."""
    rows = data["logprobs"]
    logprobs = None
    if rows is not None:
        logprobs = tuple(TokenLogprob(token, score, tuple((t, p) for t, p in top)) for token, score, top in rows)
    calls = tuple(ToolCall(*call) for call in data["calls"])
    return Reply(data["text"], calls, data["finish"], logprobs, choices=tuple(map(decode_reply, data["choices"])))
