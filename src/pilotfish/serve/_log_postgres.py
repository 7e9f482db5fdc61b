"""The decision log in PostgreSQL, for several replicas of the gateway on several machines."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pilotfish._extras import need
from pilotfish.errors import DataError
from pilotfish.serve._log_row import COLUMNS

__all__ = ["PostgresStore"]

T = TypeVar("T")

_SCHEMA = 1
# Without these a write to a machine that vanished waits for a quarter of an hour. The URL's own settings come first.
_NETWORK = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15000,  # milliseconds
}
_LOCK = 0x50464453  # one replica makes the tables, the others wait
_CREATE = (
    "CREATE TABLE IF NOT EXISTS pilotfish_about (name TEXT PRIMARY KEY, value BYTEA NOT NULL)",
    "CREATE TABLE IF NOT EXISTS pilotfish_served "
    f"(seq BIGSERIAL PRIMARY KEY, {', '.join(f'{n} {t}' for n, t in COLUMNS.items())})",
    "CREATE INDEX IF NOT EXISTS pilotfish_served_time ON pilotfish_served (time)",
    "CREATE INDEX IF NOT EXISTS pilotfish_served_id ON pilotfish_served (id)",
    "CREATE TABLE IF NOT EXISTS pilotfish_ratings "
    "(id TEXT NOT NULL, model TEXT NOT NULL, quality DOUBLE PRECISION NOT NULL, PRIMARY KEY (id, model))",
)
_ABOUT = "INSERT INTO pilotfish_about VALUES (%s, %s) ON CONFLICT (name) DO NOTHING"
_INSERT = f"INSERT INTO pilotfish_served ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"  # noqa: S608
_RATE = (
    "INSERT INTO pilotfish_ratings VALUES (%s, %s, %s) ON CONFLICT (id, model) DO UPDATE SET quality = excluded.quality"
)
_RATINGS = (
    "(SELECT json_object_agg(model, quality)::text FROM pilotfish_ratings WHERE pilotfish_ratings.id = s.id) AS ratings"
)


class PostgresStore:
    """See `Store`; one connection writes and one reads, and each is opened again where it was lost.

    Raises:
        MissingExtra: psycopg is not installed.
        DataError: the server cannot be reached, or its tables are of another version.
    """

    def __init__(self, url: str) -> None:
        self._psycopg = need("psycopg", "postgres")
        self._url = url
        self._locks = {"write": threading.Lock(), "read": threading.Lock()}
        self._connections: dict[str, Any] = {}
        self._using("write", self._prepare)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows in one transaction."""

        def act(connection: Any) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_INSERT, rows)

        self._using("write", act)

    def rate(self, id: str, model: str, quality: float) -> None:
        """Note a quality."""
        self._using("write", lambda connection: connection.execute(_RATE, (id, model, quality)))

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
        tests = [
            ("time >= %s", since),
            ("time < %s", until),
            ("model = %s", model),
            ("seq > %s", after),
            ("id = %s", id),
        ]
        where = " AND ".join(test for test, value in tests if value is not None) or "true"
        values = [value for _, value in tests if value is not None]
        by = "seq" if oldest else "seq DESC" if since is None and until is None else "time DESC, seq DESC"
        # The names are our own, never a caller's text.
        statement = (
            f"SELECT seq, {', '.join(columns)}, {_RATINGS} FROM pilotfish_served AS s "  # noqa: S608
            f"WHERE {where} ORDER BY {by} LIMIT %s"
        )
        found: list[tuple[Any, ...]] = self._using(
            "read", lambda connection: connection.execute(statement, (*values, limit)).fetchall()
        )
        return found if oldest else found[::-1]

    def forget(self, before: float) -> int:
        """Drop old rows."""

        def act(connection: Any) -> int:
            with connection.transaction():
                count = connection.execute("DELETE FROM pilotfish_served WHERE time < %s", (before,)).rowcount
                connection.execute(
                    "DELETE FROM pilotfish_ratings AS r WHERE NOT EXISTS "
                    "(SELECT 1 FROM pilotfish_served AS s WHERE s.id = r.id)"
                )
            return int(count)

        return self._using("write", act)

    def salt(self) -> bytes:
        """Return the database's own random bytes, the same for every replica."""

        def act(connection: Any) -> bytes:
            connection.execute(_ABOUT, ("salt", os.urandom(16)))
            return bytes(connection.execute("SELECT value FROM pilotfish_about WHERE name = 'salt'").fetchone()[0])

        return self._using("write", act)

    def close(self) -> None:
        """Close both connections."""
        for name, lock in self._locks.items():
            with lock:
                connection = self._connections.pop(name, None)
                if connection is not None:
                    connection.close()

    def _prepare(self, connection: Any) -> None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            for statement in _CREATE:
                connection.execute(statement)
            connection.execute(_ABOUT, ("schema", str(_SCHEMA).encode()))
            found = connection.execute("SELECT value FROM pilotfish_about WHERE name = 'schema'").fetchone()[0]
        if bytes(found) != str(_SCHEMA).encode():
            version = bytes(found).decode("ascii", "replace")
            raise DataError(f"{self._where} has version {version}, this Pilotfish reads {_SCHEMA}: name another one")

    @property
    def _where(self) -> str:
        """How errors call the database: host and name, never the user or the password."""
        parts = urlsplit(self._url)
        return f"the decision log in PostgreSQL at {parts.hostname or 'localhost'}{parts.path}"

    def _using(self, name: str, act: Callable[[Any], T]) -> T:
        with self._locks[name]:
            try:
                connection = self._connections.get(name)
                if connection is None or connection.closed:
                    told = self._psycopg.conninfo.conninfo_to_dict(self._url)
                    connection = self._psycopg.connect(autocommit=True, **{**_NETWORK, **told})
                    self._connections[name] = connection
                return act(connection)
            except self._psycopg.Error as error:
                connection = self._connections.get(name)
                if connection is not None and connection.broken:
                    del self._connections[name]
                # psycopg's own text names the user; the server's words are enough.
                line = getattr(error.diag, "message_primary", None) or f"no connection ({type(error).__name__})"
        raise DataError(f"{self._where} cannot be used: {line}")
