"""The inside of a run: rows under way, shards that fill, and what is noted when."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from pilotfish.rows._atomic import atomic
from pilotfish.rows._input import Input
from pilotfish.rows._journal import Entry, Journal, Line
from pilotfish.rows._progress import Progress
from pilotfish.rows._session import all_left
from pilotfish.rows._shards import Marker, finish, journal_path, markers, rejects_path, verify
from pilotfish.rows._store import REJECTS, REPORT, Store
from pilotfish.rows._works import Note
from pilotfish.rows.rejects import Rejects
from pilotfish.rows.report import RunReport, StageReport

_UNREAD = "unread.rejects.jsonl"
GRACE = 10.0  # seconds for calls under way when a run stops on an error


class Crew(Protocol):
    """Who does the work of a run: `Works` in this process, or workers in others."""

    failure: Exception | None
    worker: ThreadPoolExecutor  # a thread of this process, in which shards are made too

    @property
    def ahead(self) -> int:
        """Rows that should be under way beside a batch or two, so that all who could work have some."""

    @property
    def reports(self) -> list[StageReport]:
        """What each stage did in this session."""

    async def through(self, entries: list[Entry], note: Note) -> None:
        """Put rows through the stages; `note` is told of each that must be kept."""

    def begin(self) -> None:
        """Get ready; called in the event loop, once what earlier sessions left is taken in."""

    def stop(self, error: Exception) -> None:
        """Begin no further row."""

    async def let_go(self) -> None:
        """Let go of what the stages hold."""


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
    stages: int
    crew: Crew
    folder: Path
    batch_size: int
    shard_rows: int
    kind: str
    store: Store | None = None
    open: dict[int, _Open] = field(default_factory=dict)
    whole: dict[int, Marker] = field(default_factory=dict)
    resumed: int = 0

    async def go(self, show: bool) -> RunReport:
        """Do what is not done yet and report."""
        started = time.perf_counter()
        self._take_stock()
        (self.folder / _UNREAD).unlink(missing_ok=True)
        unread = Rejects(self.folder / _UNREAD)
        try:
            self.crew.begin()
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
            finished = sum(1 for stages in done.values() if stages == self.stages)
            self.open[shard] = _Open(journal_, done, finished=finished)
            self.resumed += finished
        self.resumed += self._taken(all_left(self.folder))

    def _taken(self, entries: Iterable[Entry]) -> int:
        """Take in what workers have noted that are gone; return how many rows this finishes."""
        finished = 0
        for entry in entries:
            shard = entry.row // self.shard_rows
            if shard in self.whole:
                continue
            at = self._opened(shard)
            if entry.done > at.done.get(entry.row, 0):
                at.journal.append([entry])
                at.done[entry.row] = entry.done
                at.finished += entry.done == self.stages
                finished += entry.done == self.stages
        return finished

    def _opened(self, shard: int) -> _Open:
        if shard not in self.open:
            self.open[shard] = _Open(Journal(journal_path(self.folder, shard)), {})
        return self.open[shard]

    def _batches(self, unread: Rejects) -> Iterator[list[Entry]]:
        items = self._items(unread)
        while batch := list(islice(items, self.batch_size)):
            yield batch

    def _items(self, unread: Rejects) -> Iterator[Entry]:
        """Yield the rows that are not finished; tell each shard on the way how many rows it has."""
        total = 0
        for index, row in enumerate(self.given.read(unread)):
            total = index + 1
            shard = index // self.shard_rows
            if shard in self.whole:
                continue
            at = self._opened(shard)
            if total % self.shard_rows == 0:
                at.expected = self.shard_rows
            done = at.done.get(index, 0)
            if done == self.stages:
                continue
            yield at.journal.entry(index) if done else Entry(index, 0, [row])
        last = (total - 1) // self.shard_rows
        if last in self.open:
            self.open[last].expected = total - last * self.shard_rows

    async def _drive(self, batches: Iterator[list[Entry]]) -> None:
        """Keep enough batches under way that slow rows hold up no others."""
        ahead = 2 + self.crew.ahead // self.batch_size
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
            self.crew.stop(error)
            if tasks:
                await asyncio.wait(tasks, timeout=GRACE)
            # A batch that was told to stop may end before the one whose error is the reason.
            failure = self.crew.failure or error
            raise failure from failure.__cause__
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _batch(self, entries: list[Entry]) -> None:
        await self.crew.through(entries, self.note)
        await self._close_shards()

    def note(self, lines: list[Line]) -> None:
        """Write lines to the journals of their shards."""
        by_shard: dict[int, list[Line]] = {}
        for line in lines:
            by_shard.setdefault(line.row // self.shard_rows, []).append(line)
        for shard, some in by_shard.items():
            at = self.open[shard]
            at.journal.write(some)
            ended = [line for line in some if line.done == self.stages]
            at.finished += len(ended)
            self.progress.add(len(ended), sum(line.rejected for line in ended))

    async def _close_shards(self) -> None:
        """Make files of the shards whose rows are all finished."""
        # Looked up anew each time: while one is made, others fill, and other batches come here too.
        while full := [shard for shard, at in self.open.items() if at.finished == at.expected]:
            shard = full[0]
            at = self.open.pop(shard)
            start = shard * self.shard_rows
            bounds = (start, start + at.finished)
            loop = asyncio.get_running_loop()
            self.whole[shard] = await loop.run_in_executor(self.crew.worker, self._made, shard, bounds, at.journal)

    def _made(self, shard: int, bounds: tuple[int, int], journal: Journal) -> Marker:
        """Make a shard, and put it where the run's folder is behind a URL."""
        if self.store is not None:
            self.store.void(shard)
        marker = finish(self.folder, shard, bounds, journal, self.kind)
        if self.store is not None:
            self.store.push(marker)
        return marker

    async def _let_go(self) -> None:
        self.crew.worker.shutdown(wait=True, cancel_futures=True)
        for at in self.open.values():
            at.journal.close()
        await self.crew.let_go()

    def _report(self, unread: Rejects, seconds: float) -> RunReport:
        shown = str(self.folder) if self.store is None else self.store.url
        report = RunReport(shown, unread=len(unread), resumed=self.resumed, seconds=seconds)
        report.reasons.update(unread.counts)
        report.stages = self.crew.reports
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
        if self.store is not None:
            self.store.put([REJECTS, REPORT])
        return report


async def _some_done(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until one task is done at least; raise what it raised; return the others."""
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return rest
