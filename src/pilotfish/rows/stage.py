"""Stages: offline work is a map over rows.

A stage takes a batch of rows and gives, for each row, one outcome: a row (kept or changed), None (filtered out), a list
of rows (fanned out) or a `Reject` (bad, with its reason). Because outcomes go by row, the runner knows which row is
finished, keeps the order, and resumes.

Write `process` for work on a batch, `RowStage.each` for a row, `AsyncStage.each` for a row that waits on a model. The
base class does the rest: timing, rejects, the report, and batches of columns, so that a stage's class can be given to
Ray Data's `map_batches` as it is.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from pilotfish.errors import DataError, ModelError, UpstreamError
from pilotfish.rows._describe import describe
from pilotfish.rows._json import shown
from pilotfish.rows._loop import LoopThread, together
from pilotfish.rows._row import Row, Rows
from pilotfish.rows.rejects import Rejects
from pilotfish.rows.report import Busy, StageReport

__all__ = ["AsyncStage", "EachRow", "Outcome", "Reject", "RowStage", "Stage"]


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a row is bad.

    Attributes:
        reason: one line; what stands before the first colon is its kind, by which the report counts.
        again: True where not the row is to blame but an endpoint, so that another run should try it anew.
    """

    reason: str
    again: bool = False

    @classmethod
    def of(cls, error: Exception) -> Reject:
        """Return the reject for an error that one row raised."""
        return cls(str(error) or type(error).__name__, isinstance(error, UpstreamError))


Outcome = Row | Rows | Reject | None

# Of the row, so the run goes on. Anything else (a wrong setting, a bug) stops it.
ROW_ERRORS = (DataError, ModelError)


_RUNTIME = ("_report", "_busy", "_streak", "_loop", "_set_up")


class Stage(ABC):
    """A class with `__call__(batch: Rows) -> Rows`.

    Build it in the worker: keep `__init__` to plain settings and load heavy things in `setup`. A subclass needs not
    call `__init__` of this class, so it may be a dataclass.

    Attributes:
        batch_size: rows the runner hands to `process` at a time.
        rejects: where `__call__` puts bad rows; None only counts them in the report. The runner has a file of its own.
        cpus, gpus: what a worker of Ray needs for this stage; a part of one will do, None goes by the run. A stage that
            needs what its neighbours do not has workers of its own.
    """

    batch_size: int = 32
    rejects: Rejects | None = None
    cpus: float | None = None
    gpus: float | None = None

    @abstractmethod
    def process(self, rows: Rows) -> Sequence[Outcome]:
        """Return one outcome a row, in order. The rows are copies: they may be changed.

        Raises:
            DataError: a row is bad. The batch is then tried again row by row, and only the bad ones are rejected.
            ModelError: likewise.
        """

    def setup(self) -> None:  # noqa: B027  # a hook, not a duty
        """Load what is heavy; called once, before the first batch, where the work is done."""

    def close(self) -> None:  # noqa: B027  # a hook, not a duty
        """Let go of what `setup` loaded."""

    @property
    def title(self) -> str:
        """The name in reports."""
        return type(self).__name__

    @property
    def report(self) -> StageReport:
        """What the stage did so far."""
        report: StageReport = self.__dict__.setdefault("_report", StageReport(self.title))
        return report

    def config(self) -> dict[str, Any]:
        """Return what decides the output, as plain data: a run resumes only if it is the same.

        By default all public attributes of the instance, models by their names; not those that change speed only.
        """
        skipped = ("batch_size", "concurrency", "rejects", "give_up_after", "cpus", "gpus")
        return {
            name: describe(value)
            for name, value in vars(self).items()
            if not name.startswith("_") and name not in skipped
        }

    def outcomes(self, rows: Rows) -> list[Outcome]:
        """Return one outcome a row, timed and counted; the runner calls this.

        Raises:
            TypeError: `process` did not give one outcome a row.
        """
        self.ready()
        with self.busy:
            found = self._tried(rows)
        for outcome in found:
            self.tally(outcome)
        return found

    @overload
    def __call__(self, batch: Rows) -> Rows: ...
    @overload
    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]: ...
    def __call__(self, batch: Rows | Mapping[str, Any]) -> Rows | dict[str, Any]:
        """Map a batch of rows, or of columns (name -> array, as Ray Data has them); returns the same kind."""
        if isinstance(batch, Mapping):
            from pilotfish.rows._columns import to_columns, to_rows

            return to_columns(self._mapped(to_rows(batch)), batch)
        return self._mapped(batch)

    def _mapped(self, batch: Rows) -> Rows:
        # Apart from __call__, which must not call itself: Ray Data overrides it to run in a thread that it then holds.
        rows: Rows = []
        for row, outcome in zip(batch, self.outcomes(batch), strict=True):
            if isinstance(outcome, Reject):
                if self.rejects is not None:
                    self.rejects.add(self.title, None, outcome.reason, shown(row))
            else:
                rows += flattened(outcome)
        return rows

    def begin(self) -> None:
        """Start a new report; the runner calls this, so that a stage may be used for several runs."""
        for name in ("_report", "_busy", "_streak"):
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict[str, Any]:
        # What a worker gets is the settings; reports, clocks and loops it makes for itself.
        return {name: value for name, value in self.__dict__.items() if name not in _RUNTIME}

    def end(self) -> None:
        """Call `close`; a later batch calls `setup` again. The runner calls this."""
        self.close()
        self.__dict__.pop("_set_up", None)

    def ready(self) -> None:
        """Call `setup` if it was not called yet."""
        if not self.__dict__.get("_set_up"):
            self.setup()
            self.__dict__["_set_up"] = True

    @property
    def busy(self) -> Busy:
        """The clock of this stage, to be entered around work."""
        clock: Busy = self.__dict__.setdefault("_busy", Busy(self.report))
        return clock

    def tally(self, outcome: Outcome) -> None:
        """Enter one outcome into the report."""
        report = self.report
        report.rows_in += 1
        if isinstance(outcome, Reject):
            report.rejected += 1
            report.reasons[outcome.reason.partition(":")[0]] += 1
        else:
            given = len(flattened(outcome))
            report.rows_out += given
            report.kept += given > 0

    def _tried(self, rows: Rows) -> list[Outcome]:
        try:
            found = list(self.process([dict(row) for row in rows]))
        except ROW_ERRORS as error:
            if len(rows) == 1:
                return [Reject.of(error)]
            return [outcome for row in rows for outcome in self._tried([row])]
        if len(found) != len(rows):
            raise TypeError(
                f"{self.title}.process gave {len(found)} outcomes for {len(rows)} rows; it must give one a row: a row, "
                "None, a list of rows or a Reject"
            )
        return found


def flattened(outcome: Row | Rows | None) -> Rows:
    """Return the rows that an outcome stands for."""
    if outcome is None:
        return []
    return outcome if isinstance(outcome, list) else [outcome]


class RowStage(Stage):
    """A stage that looks at one row at a time."""

    @abstractmethod
    def each(self, row: Row) -> Outcome:
        """Return the outcome of a row. It is a copy: it may be changed and returned.

        Raises:
            DataError: the row is bad; it alone is rejected.
            ModelError: likewise.
        """

    def process(self, rows: Rows) -> list[Outcome]:
        """Return the outcome of each row."""
        found: list[Outcome] = []
        for row in rows:
            try:
                found.append(self.each(row))
            except ROW_ERRORS as error:
                found.append(Reject.of(error))
        return found


class EachRow(RowStage):
    """A plain function as a stage: `EachRow(lambda row: row | {"words": len(row["text"].split())})`."""

    def __init__(self, function: Callable[[Row], Outcome]) -> None:
        self.function = function

    @property
    def title(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def each(self, row: Row) -> Outcome:
        """Return what the function returns."""
        return self.function(row)


class AsyncStage(Stage):
    """A stage whose rows wait for something, as for a model's reply: many are under way at once.

    It stops with an error, rather than reject a whole data set, when the first rows all fail, or when the
    endpoint fails for that many rows one after another.

    Attributes:
        concurrency: rows under way at once.
        give_up_after: that many rows.
    """

    concurrency: int = 8
    give_up_after: int = 20

    @abstractmethod
    async def each(self, row: Row) -> Outcome:
        """Return the outcome of a row. It is a copy: it may be changed and returned.

        Raises:
            DataError: the row is bad; it alone is rejected.
            ModelError: likewise. An `UpstreamError` is not the row's fault: another run tries the row anew.
        """

    async def aclose(self) -> None:
        """Let go of what `each` opened in this event loop."""

    async def outcome(self, row: Row) -> Outcome:
        """Return the outcome of one row, timed and counted; the runner calls this.

        Raises:
            DataError, ModelError: too many rows failed; the text holds the first reason.
        """
        self.ready()
        found: Outcome
        with self.busy:
            try:
                found = await self.each(dict(row))
            except ROW_ERRORS as error:
                found = Reject.of(error)
        self.tally(found)
        self._watch(found)
        return found

    def process(self, rows: Rows) -> list[Outcome]:
        """Return the outcome of each row; waits for all. Rows go through a loop that lives as long as the stage."""
        loop: LoopThread = self.__dict__.setdefault("_loop", LoopThread())
        return loop.run(self._all(rows))

    def outcomes(self, rows: Rows) -> list[Outcome]:
        """Return one outcome a row, timed and counted."""
        return self.process(rows)

    def close(self) -> None:
        """Close what is open and end the loop."""
        loop: LoopThread | None = self.__dict__.pop("_loop", None)
        if loop is not None:
            loop.run(self.aclose())
            loop.close()

    async def _all(self, rows: Rows) -> list[Outcome]:
        gate = asyncio.Semaphore(self.concurrency)

        async def one(row: Row) -> Outcome:
            async with gate:
                return await self.outcome(row)

        return await together(one(row) for row in rows)

    def _watch(self, found: Outcome) -> None:
        """Give up when nothing works.

        Raises:
            DataError, ModelError: too many rows failed.
        """
        streak, upstream, first = self.__dict__.get("_streak", (0, 0, ""))
        if isinstance(found, Reject):
            streak, upstream = streak + 1, upstream + 1 if found.again else 0
            first = first or found.reason
        else:
            streak, upstream, first = 0, 0, ""
        self.__dict__["_streak"] = (streak, upstream, first)
        nothing_yet = self.report.rejected == self.report.rows_in
        if upstream >= self.give_up_after:
            raise UpstreamError(f"{self.title}: {upstream} rows failed one after another; the first: {first}")
        if nothing_yet and streak >= self.give_up_after:
            raise ModelError(f"{self.title}: the first {streak} rows all failed; the first: {first}")
