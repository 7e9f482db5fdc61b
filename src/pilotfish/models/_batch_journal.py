"""What was asked in which batch, and what came of it, in one SQLite file: what `kill -9` leaves is enough to go on.

It holds hashes, states and answers: no prompt, no key. A batch is `planned` before its file is sent, `uploaded` once
the file's id is noted (from then on it may be there without our knowing), `made` once its own id is, and `ended`.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pilotfish.models._batch_form import Outcome, Status
from pilotfish.rows._sqlite import Kind

__all__ = ["Journal", "Known", "Plan", "Told"]

FILE = "batches.sqlite"
_CREATE = (
    "CREATE TABLE batches (ours TEXT PRIMARY KEY, base TEXT NOT NULL, state TEXT NOT NULL, "
    "file TEXT NOT NULL DEFAULT '', id TEXT NOT NULL DEFAULT '', status TEXT NOT NULL DEFAULT '', "
    "total INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, "
    "created REAL NOT NULL, sent REAL NOT NULL DEFAULT 0, ended REAL)",
    "CREATE TABLE requests (key BLOB PRIMARY KEY, batch TEXT NOT NULL, line INTEGER NOT NULL, answer TEXT, "
    "fault TEXT, code INTEGER, again INTEGER NOT NULL DEFAULT 0, tokens_in INTEGER NOT NULL DEFAULT 0, "
    "tokens_out INTEGER NOT NULL DEFAULT 0, taken INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    "CREATE INDEX by_batch ON requests (batch)",
)
_KIND = Kind("batch journal", application=0x5046424A, schema=1, create=_CREATE)  # "PFBJ"
_PLAN = "SELECT ours, base, state, file, id, status, total, done, failed, created, sent, ended FROM batches"


@dataclass(frozen=True)
class Plan:
    """A batch as the journal has it: `created`, `sent` (asked to be made) and `ended` in seconds since 1970."""

    ours: str
    base: str
    state: str
    file: str
    id: str
    status: str
    total: int
    done: int
    failed: int
    created: float
    sent: float
    ended: float | None


@dataclass(frozen=True)
class Known:
    """A request as the journal has it: its batch, what came of it, and whether somebody was given that already."""

    batch: str
    outcome: Outcome | None
    taken: bool


@dataclass(frozen=True)
class Told:
    """A batch for people: with the tokens of the answers that are here."""

    plan: Plan
    answered: int
    tokens_in: int
    tokens_out: int


class Journal:
    """The journal of a folder.

    Raises:
        DataError: from any call: the file is damaged, of another program, or the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._db = _KIND.open(self.path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def plans(self, *, ended: bool = True) -> list[Plan]:
        """Return the batches in the order in which they were planned; `ended=False` leaves those out."""
        which = "" if ended else " WHERE state != 'ended'"
        with self._using() as db:
            return [Plan(*row) for row in db.execute(f"{_PLAN}{which} ORDER BY created, ours")]

    def plan_of(self, ours: str) -> Plan | None:
        """Return a batch; None where there is none."""
        with self._using() as db:
            row = db.execute(f"{_PLAN} WHERE ours = ?", (ours,)).fetchone()
        return None if row is None else Plan(*row)

    def look(self, key: bytes) -> Known | None:
        """Return what is known of a request; None where it is to be asked: it never was, or is to be asked again."""
        query = "SELECT batch, answer, fault, code, again, tokens_in, tokens_out, taken FROM requests WHERE key = ?"
        with self._using() as db:
            row = db.execute(query, (key,)).fetchone()
        if row is None or row[4]:
            return None
        batch, answer, fault, code, _, tokens_in, tokens_out, taken = row
        if answer is None and fault is None:
            return Known(batch, None, False)
        if fault is not None and taken:
            return None  # it was told once; who asks once more may have mended what was wrong
        return Known(batch, Outcome(answer or "", fault or "", code, False, tokens_in, tokens_out), bool(taken))

    def plan(self, base: str, keys: Sequence[bytes]) -> Plan:
        """Note a batch that is about to be sent; the keys in the order of its lines."""
        ours, now = uuid.uuid4().hex, time.time()
        query = "INSERT OR REPLACE INTO requests (key, batch, line) VALUES (?, ?, ?)"
        with self._using(write=True) as db:
            row = (ours, base, len(keys), now)
            db.execute("INSERT INTO batches (ours, base, state, total, created) VALUES (?, ?, 'planned', ?, ?)", row)
            db.executemany(query, ((key, ours, line) for line, key in enumerate(keys, 1)))
        return Plan(ours, base, "planned", "", "", "", len(keys), 0, 0, now, 0.0, None)

    def uploaded(self, ours: str, file: str) -> None:
        """Note the file's id, and that the batch is asked for now."""
        self._note(
            "UPDATE batches SET state = 'uploaded', file = ?, sent = ? WHERE ours = ?", (file, time.time(), ours)
        )

    def sent(self, ours: str) -> None:
        """Note that the batch is asked for once more."""
        self._note("UPDATE batches SET sent = ? WHERE ours = ?", (time.time(), ours))

    def made(self, ours: str, status: Status) -> None:
        """Note the provider's id, or how the batch stands."""
        query = (
            "UPDATE batches SET state = 'made', id = ?, status = ?, done = ?, failed = ? WHERE ours = ? "
            "AND state != 'ended'"
        )
        self._note(query, (status.id, status.status, status.done, status.failed, ours))

    def keep(self, ours: str, found: Iterable[tuple[bytes, Outcome]]) -> list[tuple[bytes, Outcome]]:
        """Note what came of requests; return those of which nothing was known yet and that are of this batch."""
        query = (
            "UPDATE requests SET answer = ?, fault = ?, code = ?, again = ?, tokens_in = ?, tokens_out = ? "
            "WHERE key = ? AND batch = ? AND answer IS NULL AND fault IS NULL"
        )
        new = []
        with self._using(write=True) as db:
            for key, one in found:
                told = (one.body or None, one.fault or None, one.status, one.again, one.tokens_in, one.tokens_out)
                if db.execute(query, (*told, key, ours)).rowcount:
                    new.append((key, one))
        return new

    def open_keys(self, ours: str) -> dict[bytes, int]:
        """Return the requests of a batch of which nothing is known yet, each with its line."""
        query = "SELECT key, line FROM requests WHERE batch = ? AND answer IS NULL AND fault IS NULL ORDER BY line"
        with self._using() as db:
            return dict(db.execute(query, (ours,)).fetchall())

    def all_keys(self, ours: str) -> set[bytes]:
        """Return all requests of a batch."""
        with self._using() as db:
            return {row[0] for row in db.execute("SELECT key FROM requests WHERE batch = ?", (ours,))}

    def end(self, ours: str) -> None:
        """Note that nothing more will come of a batch."""
        self._note("UPDATE batches SET state = 'ended', ended = ? WHERE ours = ?", (time.time(), ours))

    def dissolve(self, ours: str, *, told: bool = False) -> None:
        """Forget a batch that never was, or that the provider did not take: its requests are to be asked anew.

        `told` keeps the batch itself, as one that has ended.
        """
        with self._using(write=True) as db:
            db.execute("DELETE FROM requests WHERE batch = ? AND answer IS NULL AND fault IS NULL", (ours,))
            if not told:
                db.execute("DELETE FROM batches WHERE ours = ?", (ours,))
        if told:
            self.end(ours)

    def took(self, keys: Iterable[bytes]) -> None:
        """Note that somebody has been given these answers, who has counted their price."""
        with self._using(write=True) as db:
            db.executemany("UPDATE requests SET taken = 1 WHERE key = ?", ((key,) for key in keys))

    def told(self) -> list[Told]:
        """Return all batches with what is here of them."""
        query = (
            "SELECT batch, count(answer), sum(tokens_in), sum(tokens_out) FROM requests WHERE answer IS NOT NULL "
            "GROUP BY batch"
        )
        with self._using() as db:
            here = {row[0]: row[1:] for row in db.execute(query)}
        return [Told(plan, *here.get(plan.ours, (0, 0, 0))) for plan in self.plans()]

    def _note(self, query: str, values: tuple[object, ...]) -> None:
        with self._using(write=True) as db:
            db.execute(query, values)

    @contextmanager
    def _using(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if write:
                self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                if write:
                    self._db.execute("ROLLBACK")
                raise
            if write:
                self._db.execute("COMMIT")
            return
        except sqlite3.Error as error:
            problem = _KIND.problem(error, self.path)
        raise problem
