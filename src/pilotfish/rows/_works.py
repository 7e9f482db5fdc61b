"""Rows through stages: the part of a run that a worker does, in this process or in another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from pilotfish.rows._journal import Entry, Line
from pilotfish.rows._json import shown
from pilotfish.rows._loop import together
from pilotfish.rows._row import Row
from pilotfish.rows.report import StageReport
from pilotfish.rows.stage import AsyncStage, Outcome, Reject, Stage, flattened

Note = Callable[[list[Line]], None]


class StoppedError(Exception):
    """A row that was not begun, because the run is stopping on another's error."""


class Works:
    """Puts rows through stages, those that wait side by side, those that compute one batch after another.

    Args:
        stages: some of a run's, one behind another.
        concurrency: rows under way at once in each `AsyncStage`; None goes by the stage.
        name: of the input, for errors.
        first: how many stages of the run come before these.
        total: how many stages the run has; None is these alone.

    Attributes:
        failure: why the work is stopping; rows that are not begun stay so.
        ahead: the most rows that are under way at once in one stage.
        worker: one thread for all synchronous work: a stage is never entered twice at a time.
    """

    def __init__(
        self, stages: Sequence[Stage], concurrency: int | None, name: str, first: int = 0, total: int | None = None
    ) -> None:
        self.stages, self.name, self.first = stages, name, first
        self.total = len(stages) if total is None else total
        self.failure: Exception | None = None
        self.worker = ThreadPoolExecutor(1, "pilotfish-stage")
        wide = [(concurrency or stage.concurrency) if isinstance(stage, AsyncStage) else 1 for stage in stages]
        self.gates = [asyncio.Semaphore(width) for width in wide]
        self.ahead = max(wide)

    def begin(self) -> None:
        """Start new reports."""
        for stage in self.stages:
            stage.begin()

    @property
    def reports(self) -> list[StageReport]:
        """What each stage did so far."""
        return [stage.report for stage in self.stages]

    def stop(self, error: Exception) -> None:
        """Begin no further row."""
        self.failure = self.failure or error

    async def through(self, entries: list[Entry], note: Note) -> None:
        """Put rows through the stages that they have not behind them; `note` is told of each that must be kept."""
        for place, stage in enumerate(self.stages):
            todo = [entry for entry in entries if entry.done == self.first + place]
            if isinstance(stage, AsyncStage):
                works = [self._waiting(stage, self.gates[place], entry, note) for entry in todo]
                for error in await asyncio.gather(*works, return_exceptions=True):
                    if error is not None:
                        raise error
            elif todo:
                await self._computing(stage, todo, note)

    async def _waiting(self, stage: AsyncStage, gate: asyncio.Semaphore, entry: Entry, note: Note) -> None:
        """Put one row through a stage that waits; note it at once, for its answer was paid for."""

        async def one(row: Row) -> Outcome:
            async with gate:
                if self.failure is not None:
                    raise StoppedError
                return await stage.outcome(row)

        rows = entry.rows
        try:
            # One row, as is usual, needs no task of its own; without one nothing can come between answer and journal.
            outcomes = [await one(rows[0])] if len(rows) == 1 else await together(one(row) for row in rows)
            _advance(entry, stage, outcomes, self.total)
            note([Line.of(entry)])
        except StoppedError:
            raise
        except Exception as error:
            self.stop(error)
            error.add_note(f"in {stage.title}, row {entry.row + 1} of {self.name}")
            raise

    async def _computing(self, stage: Stage, entries: list[Entry], note: Note) -> None:
        """Put a batch through a stage that computes; only its last results need noting, the others can be had again."""
        rows = [row for entry in entries for row in entry.rows]
        loop = asyncio.get_running_loop()
        outcomes: list[Outcome] = []
        try:
            for start in range(0, len(rows), stage.batch_size):
                part = rows[start : start + stage.batch_size]
                outcomes += await loop.run_in_executor(self.worker, stage.outcomes, part)
        except Exception as error:
            error.add_note(f"in {stage.title}, rows {entries[0].row + 1} to {entries[-1].row + 1} of {self.name}")
            raise
        given = iter(outcomes)
        for entry in entries:
            _advance(entry, stage, list(islice(given, len(entry.rows))), self.total)
        note([Line.of(entry) for entry in entries if entry.done == self.total])

    async def let_go(self) -> None:
        """Let go of what the stages hold."""
        for stage in self.stages:
            if isinstance(stage, AsyncStage):
                await stage.aclose()
            stage.end()


def _advance(entry: Entry, stage: Stage, outcomes: Sequence[Outcome], last: int) -> None:
    """Take in one outcome for each of the row's rows; a row of which nothing is left has come to its end."""
    before, entry.rows = entry.rows, []
    for row, outcome in zip(before, outcomes, strict=True):
        if isinstance(outcome, Reject):
            entry.rejects.append(
                {"stage": stage.title, "reason": outcome.reason, "raw": shown(row), "again": outcome.again}
            )
        else:
            entry.rows += flattened(outcome)
    entry.done = entry.done + 1 if entry.rows else last
