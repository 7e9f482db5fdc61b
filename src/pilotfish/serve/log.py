"""The decision log: every request that was served, what was decided about it, and what it took.

Yesterday's traffic trains tomorrow's router: `export` writes it as rows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pilotfish.errors import ConfigError, PilotfishError
from pilotfish.serve._log_row import BRIEF, COLUMNS, Store, row_of, values_of
from pilotfish.serve.record import Served
from pilotfish.serve.redact import Redact, Redactor

__all__ = ["DecisionLog"]

_LOG = logging.getLogger("pilotfish.serve")
_BATCH = 500  # rows a transaction
_PAGE = 2000  # rows that an export holds at one time
_PATIENCE = 5.0  # seconds that closing waits for a database that does not answer
# A pause after each row lets the thread that serves requests go on at once. Measured at 2,000 requests a second, the
# slowest 1% of them wait: 3 to 6 ms without a log, 4 to 10 ms with this pause, 50 to 160 ms with `sleep(0)`, from which
# this thread comes back before the other one wakes. A long queue makes pauses rarer: one row more for each _HURRY rows.
_PAUSE = 2e-4
_HURRY = 1000
_SWEEP = 3600.0  # seconds between two looks at what is too old


class DecisionLog:
    """Records of served requests, written by a thread of its own.

    `put` never waits: it appends to a queue that is written each `every` seconds. Where the database is too slow, or
    away, the queue fills, and what no longer fits is counted in `dropped`. `kill -9` loses what is in the queue.

    Args:
        where: an SQLite file, or a `postgresql://…` URL, which several replicas may share.
        redact: what is taken out before anything is written: "off", "pii" or "all" (see `Redactor`).
        retention: seconds that rows are kept; None keeps them until `forget`.
        queue: the most records that wait.
        every: seconds between two writes.
        longest: characters of a request or reply that are kept.

    Raises:
        DataError: the database cannot be used.
        MissingExtra: a PostgreSQL URL without psycopg.

    Attributes:
        dropped: records that did not fit.
        written: records that this process has written.
    """

    def __init__(
        self,
        where: str | Path,
        *,
        redact: Redact = "pii",
        retention: float | None = None,
        queue: int = 10_000,
        every: float = 0.1,
        longest: int = 100_000,
    ) -> None:
        if queue < 1 or not every > 0 or longest < 64 or (retention is not None and not retention > 0):
            raise ConfigError(
                f"the log's queue is 1 or more, `every` and `retention` above 0 s, `longest` 64 or more; not "
                f"{queue}, {every}, {retention}, {longest}"
            )
        Redactor(redact)  # a wrong word is told before a file is made
        self._store = _store(where)
        self._redactor = Redactor(redact, self._store.salt() if redact == "all" else b"", longest)
        self._retention, self._most, self._every, self._longest = retention, queue, every, longest
        self._queue: deque[Served] = deque()
        self._batch: list[tuple[Any, ...]] = []
        self._taken = 0  # records out of the queue that are not written yet
        self.dropped = self.written = 0
        self._wake, self._idle, self._closing = threading.Event(), threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="pilotfish-log", daemon=True)
        self._thread.start()

    def put(self, served: Served) -> None:
        """Take a record; it is written within moments."""
        if len(self._queue) >= self._most or self._closing:
            self.dropped += 1
            return
        self._queue.append(served)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all records that were put are written; return whether they are."""
        self._wake.set()
        with self._idle:
            return self._idle.wait_for(lambda: not self._queue and not self._taken, timeout)

    def rate(self, id: str, quality: float, model: str | None = None) -> None:
        """Note how good an answer was: of the model that gave it, or of another one, as judged later.

        Args:
            id: the request's id.
            quality: more is better; all of a log on one scale.
            model: whose answer it was; None for the one that was sent, whose row must be there by then.

        Raises:
            DataError: the database cannot be used.
        """
        self._store.rate(id, model or "", float(quality))

    def rows(
        self,
        since: float | None = None,
        until: float | None = None,
        model: str | None = None,
        limit: int | None = None,
        *,
        after: int | None = None,
        id: str | None = None,
        texts: bool | Literal["prompt"] = True,
    ) -> list[dict[str, Any]]:
        """Return the last `limit` rows that fit, oldest first.

        Each has `seq`, the columns of `COLUMNS`, with calls, decisions, request and reply as data, and `quality`: a
        number for each model whose answer was rated.

        Args:
            since: seconds since 1970, the first that counts.
            until: seconds since 1970, the first that counts no more.
            model: the model that was asked for.
            limit: how many at most.
            after: rows whose `seq` is above this.
            id: the request's id.
            texts: False leaves out `prompt`, `request` and `reply`; "prompt" the last two, which may be long.

        Raises:
            DataError: the database cannot be used.
        """
        columns = (*BRIEF, "prompt") if texts == "prompt" else tuple(COLUMNS) if texts else BRIEF
        return _read(columns, self._store.rows(columns, since, until, model, after, limit, id=id))

    def export(self, path: str | Path, since: float | None = None, until: float | None = None) -> int:
        """Write the traffic as training rows (JSONL, CSV, TSV or Parquet, by the name) and return how many.

        A row has the `prompt`, the `messages`, the `reply`, who was asked for and who answered, `score`, `verdict` and
        all decisions, and for every model of the log `cost:NAME`, `seconds:NAME` and `quality:NAME`, which are null
        where it was not asked, or its answer not rated. Failed and cached answers are left out.

        Raises:
            DataError: the database cannot be used, or the disk is full.
        """
        from pilotfish.rows.write import write
        from pilotfish.serve._training import training_rows

        self.flush()
        names: set[str] = set()
        for row in self._pages(since, until, texts=False):
            names.update(call["model"] for call in row["calls"])
        return write(training_rows(self._pages(since, until, texts=True), sorted(names)), path)

    def forget(self, older_than: float) -> int:
        """Drop the rows of requests older than so many seconds; return how many.

        Raises:
            DataError: the database cannot be used.
        """
        return self._store.forget(time.time() - older_than)

    def close(self) -> None:
        """Write what waits, and close the database; what it does not take within seconds is lost."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        self._thread.join(2 * _PATIENCE)
        if self._thread.is_alive():  # it hangs in the database, and with it the connection that would be closed
            waiting = self._taken + len(self._queue)
            _LOG.warning("the log's database does not answer: %d records may be lost", waiting)
            return
        self._store.close()

    def _pages(self, since: float | None, until: float | None, texts: bool) -> Iterator[dict[str, Any]]:
        """Yield rows in the order of writing, some thousands at a time."""
        columns = tuple(COLUMNS) if texts else BRIEF
        after = 0
        while found := _read(columns, self._store.rows(columns, since, until, None, after, _PAGE, oldest=True)):
            after = found[-1]["seq"]
            yield from found

    def _run(self) -> None:
        swept = float("-inf")
        troubled = False
        while True:
            self._wake.wait(self._every if not troubled else 1.0)
            self._wake.clear()
            closing = self._closing
            end = time.monotonic() + _PATIENCE
            while self._batch or self._queue:
                try:
                    self._write()
                    troubled = False
                except PilotfishError as error:
                    if not troubled:
                        _LOG.warning("%s; up to %d records wait in memory", error, self._most)
                    troubled = True
                    if not closing or time.monotonic() > end:
                        break
                    time.sleep(0.2)
            if closing:
                self.dropped += len(self._batch) + len(self._queue)
                return
            if self._retention is not None and not troubled and time.monotonic() - swept > _SWEEP:
                swept = time.monotonic()
                self._sweep(self._retention)

    def _write(self) -> None:
        """Write one batch; one that was not taken stays for the next time."""
        while self._queue and len(self._batch) < _BATCH:
            self._taken += 1  # before the queue is empty, so that `flush` never sees neither
            served = self._queue.popleft()
            try:
                self._batch.append(values_of(served, self._redactor, self._longest))
            except Exception:  # one record that cannot be written is no reason to stop writing
                _LOG.exception("a record could not be made into a row")
                self.dropped += 1
            if len(self._batch) % (1 + len(self._queue) // _HURRY) == 0:
                time.sleep(_PAUSE)
        if self._batch:
            try:
                self._store.write(self._batch)
                self.written += len(self._batch)
            except PilotfishError:
                raise
            except Exception:  # of no known kind: it would come again with every try
                _LOG.exception("%d records could not be written", len(self._batch))
                self.dropped += len(self._batch)
        with self._idle:
            self._batch = []
            self._taken = 0
            self._idle.notify_all()

    def _sweep(self, retention: float) -> None:
        try:
            self.forget(retention)
        except PilotfishError as error:
            _LOG.warning("old rows stay for now: %s", error)


def _read(columns: Sequence[str], found: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    rows = [row_of(columns, values) for values in found]
    for row in rows:
        if "" in row["quality"]:  # rated without a name: whoever answered
            row["quality"].setdefault(row["answered_by"], row["quality"].pop(""))
    return rows


def _store(where: str | Path) -> Store:
    if isinstance(where, str) and where.split("://")[0] in ("postgres", "postgresql"):
        from pilotfish.serve._log_postgres import PostgresStore

        return PostgresStore(where)
    if isinstance(where, str) and "://" in where:
        raise ConfigError("the log is an SQLite file, or a postgresql:// URL")
    from pilotfish.serve._log_sqlite import SqliteStore

    return SqliteStore(Path(where))
