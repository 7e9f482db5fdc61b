"""The inside of a run: rows under way, shards that fill, and what is noted when."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pilotfish.rows._atomic import atomic
from pilotfish.rows._input import Input
from pilotfish.rows._journal import Entry, Journal
from pilotfish.rows._json import shown
from pilotfish.rows._loop import together
from pilotfish.rows._progress import Progress
from pilotfish.rows._row import Row
from pilotfish.rows._shards import Marker, finish, journal_path, markers, rejects_path, verify
from pilotfish.rows.rejects import Rejects
from pilotfish.rows.report import RunReport
from pilotfish.rows.stage import AsyncStage, Outcome, Reject, Stage, flattened

_UNREAD = "unread.rejects.jsonl"
GRACE = 10.0  # seconds for calls under way when a run stops on an error


class _StoppedError(Exception):
    """A row that was not begun, because the run is stopping on another's error."""


@dataclass(slots=True)
class _Item:
    """A row under way: what it was, what it has become, and how many stages are behind it."""

    entry: Entry
    source: Row

    def advance(self, stage: Stage, outcomes: Sequence[Outcome], last: int) -> None:
        """Take in one outcome for each of the row's rows; a row of which nothing is left has come to its end."""
        before, self.entry.rows = self.entry.rows, []
        for row, outcome in zip(before, outcomes, strict=True):
            if isinstance(outcome, Reject):
                self.entry.rejects.append(
                    {
                        "stage": stage.title,
                        "reason": outcome.reason,
                        "raw": shown(row),
                        "again": outcome.again,
                    }
                )
            else:
                self.entry.rows += flattened(outcome)
        self.entry.done = self.entry.done + 1 if self.entry.rows else last


@dataclass
class _Open:
    """A shard under way."""

    journal: Journal
    done: dict[int, int]
    expected: int | None = None
    finished: int = 0


@dataclass
class Run:
    """One session of a run: what is done, what is under way, and what is left."""

    given: Input
    stages: list[Stage]
    folder: Path
    batch_size: int
    shard_rows: int
    kind: str
    concurrency: int | None
    open: dict[int, _Open] = field(default_factory=dict)
    whole: dict[int, Marker] = field(default_factory=dict)
    gates: list[asyncio.Semaphore] = field(default_factory=list)
    widest: int = 1
    resumed: int = 0
    failure: Exception | None = None

    async def go(self, show: bool) -> RunReport:
        """Do what is not done yet and report."""
        started = time.perf_counter()
        self._take_stock()
        (self.folder / _UNREAD).unlink(missing_ok=True)
        # One thread for all synchronous work: a stage is never entered twice at a time.
        self.worker = ThreadPoolExecutor(1, "pilotfish-stage")
        for stage in self.stages:
            stage.begin()
            wide = (self.concurrency or stage.concurrency) if isinstance(stage, AsyncStage) else 1
            self.gates.append(asyncio.Semaphore(wide))
            self.widest = max(self.widest, wide)
        unread = Rejects(self.folder / _UNREAD)
        try:
            with unread, Progress(self.given.rows, self.resumed, shown=show) as self.progress:
                await self._drive(self._batches(unread))
                await self._close_shards()
        finally:
            await self._let_go()
        return self._report(unread, time.perf_counter() - started)

    def _take_stock(self) -> None:
        """Find what earlier sessions finished: whole shards, and rows in journals."""
        for marker in markers(self.folder):
            verify(self.folder, marker)
            journal = journal_path(self.folder, marker.shard)
            if marker.again and journal.exists():
                continue  # it has rows to try anew
            journal.unlink(missing_ok=True)
            self.whole[marker.shard] = marker
            self.resumed += marker.stop - marker.start
        for path in sorted(self.folder.glob("shard-*.journal")):
            shard = int(path.stem.removeprefix("shard-"))
            journal_ = Journal(path)
            done = journal_.load()
            finished = sum(1 for stages in done.values() if stages == len(self.stages))
            self.open[shard] = _Open(journal_, done, finished=finished)
            self.resumed += finished

    def _batches(self, unread: Rejects) -> Iterator[list[_Item]]:
        items = self._items(unread)
        while batch := list(islice(items, self.batch_size)):
            yield batch

    def _items(self, unread: Rejects) -> Iterator[_Item]:
        """Yield the rows that are not finished; tell each shard on the way how many rows it has."""
        total = 0
        for index, row in enumerate(self.given.read(unread)):
            total = index + 1
            shard = index // self.shard_rows
            if shard in self.whole:
                continue
            if shard not in self.open:
                self.open[shard] = _Open(Journal(journal_path(self.folder, shard)), {})
            at = self.open[shard]
            if total % self.shard_rows == 0:
                at.expected = self.shard_rows
            done = at.done.get(index, 0)
            if done == len(self.stages):
                continue
            yield _Item(at.journal.entry(index) if done else Entry(index, 0, [row]), row)
        last = (total - 1) // self.shard_rows
        if last in self.open:
            self.open[last].expected = total - last * self.shard_rows

    async def _drive(self, batches: Iterator[list[_Item]]) -> None:
        """Keep enough batches under way that slow rows hold up no others."""
        ahead = 2 + self.widest // self.batch_size
        tasks: set[asyncio.Task[None]] = set()
        try:
            for batch in batches:
                tasks.add(asyncio.ensure_future(self._batch(batch)))
                if len(tasks) >= ahead:
                    tasks = await _some_done(tasks)
            while tasks:
                tasks = await _some_done(tasks)
        except Exception as error:
            # Calls under way are paid for: they get a moment to come to their end. Ctrl-C gives them none.
            self.failure = self.failure or error
            if tasks:
                await asyncio.wait(tasks, timeout=GRACE)
            # A batch that was told to stop may end before the one whose error is the reason.
            raise self.failure from self.failure.__cause__
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _batch(self, items: list[_Item]) -> None:
        for place, stage in enumerate(self.stages):
            todo = [item for item in items if item.entry.done == place]
            if isinstance(stage, AsyncStage):
                works = [self._through(stage, self.gates[place], item) for item in todo]
                for error in await asyncio.gather(*works, return_exceptions=True):
                    if error is not None:
                        raise error
            elif todo:
                await self._through_all(stage, todo)
        await self._close_shards()

    async def _through(self, stage: AsyncStage, gate: asyncio.Semaphore, item: _Item) -> None:
        """Put one row through a stage that waits; note it in the journal at once, for its answer was paid for."""

        async def one(row: Row) -> Outcome:
            async with gate:
                if self.failure is not None:
                    raise _StoppedError
                return await stage.outcome(row)

        rows = item.entry.rows
        try:
            # One row, as is usual, needs no task of its own; without one nothing can come between answer and journal.
            outcomes = [await one(rows[0])] if len(rows) == 1 else await together(one(row) for row in rows)
            item.advance(stage, outcomes, len(self.stages))
            self._note([item])
        except _StoppedError:
            raise
        except Exception as error:
            self.failure = self.failure or error
            error.add_note(f"in {stage.title}, row {item.entry.row + 1} of {self.given.name}")
            raise

    async def _through_all(self, stage: Stage, items: list[_Item]) -> None:
        """Put a batch through a stage that computes; only its last results need noting, the others can be had again."""
        rows = [row for item in items for row in item.entry.rows]
        loop = asyncio.get_running_loop()
        outcomes: list[Outcome] = []
        try:
            for start in range(0, len(rows), stage.batch_size):
                part = rows[start : start + stage.batch_size]
                outcomes += await loop.run_in_executor(self.worker, stage.outcomes, part)
        except Exception as error:
            first, last = items[0].entry.row + 1, items[-1].entry.row + 1
            error.add_note(f"in {stage.title}, rows {first} to {last} of {self.given.name}")
            raise
        given = iter(outcomes)
        for item in items:
            item.advance(stage, list(islice(given, len(item.entry.rows))), len(self.stages))
        self._note([item for item in items if item.entry.done == len(self.stages)])

    def _note(self, items: list[_Item]) -> None:
        """Write entries to the journals of their shards."""
        by_shard: dict[int, list[Entry]] = {}
        for item in items:
            by_shard.setdefault(item.entry.row // self.shard_rows, []).append(item.entry)
        for shard, entries in by_shard.items():
            at = self.open[shard]
            at.journal.append(entries)
            ended = [entry for entry in entries if entry.done == len(self.stages)]
            at.finished += len(ended)
            self.progress.add(len(ended), sum(bool(entry.rejects) for entry in ended))

    async def _close_shards(self) -> None:
        """Make files of the shards whose rows are all finished."""
        # Looked up anew each time: while one is made, others fill, and other batches come here too.
        while full := [shard for shard, at in self.open.items() if at.finished == at.expected]:
            shard = full[0]
            at = self.open.pop(shard)
            start = shard * self.shard_rows
            bounds = (start, start + at.finished)
            loop = asyncio.get_running_loop()
            self.whole[shard] = await loop.run_in_executor(
                self.worker, finish, self.folder, shard, bounds, at.journal, self.kind
            )

    async def _let_go(self) -> None:
        self.worker.shutdown(wait=True, cancel_futures=True)
        for at in self.open.values():
            at.journal.close()
        for stage in self.stages:
            if isinstance(stage, AsyncStage):
                await stage.aclose()
            stage.end()

    def _report(self, unread: Rejects, seconds: float) -> RunReport:
        report = RunReport(str(self.folder), unread=len(unread), resumed=self.resumed, seconds=seconds)
        report.reasons.update(unread.counts)
        report.stages = [stage.report for stage in self.stages]
        report.shards = len(self.whole)
        with atomic(self.folder / "rejects.jsonl") as file:
            for path in [self.folder / _UNREAD, *(rejects_path(self.folder, shard) for shard in sorted(self.whole))]:
                with suppress(FileNotFoundError):
                    file.write(path.read_bytes())
        for marker in self.whole.values():
            report.rows_in += marker.stop - marker.start
            report.rows_out += marker.rows
            report.rejected += marker.rejected
            report.again += marker.again
            report.reasons.update(marker.reasons)
        with atomic(self.folder / "report.json") as file:
            file.write(json.dumps(report.to_json(), ensure_ascii=False, indent=2).encode() + b"\n")
        return report


async def _some_done(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until one task is done at least; raise what it raised; return the others."""
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return rest
