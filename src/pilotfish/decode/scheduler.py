"""Continuous batching: answers of different lengths advance together, joining and leaving between steps."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from pilotfish.decode.strategy import Job, Step, Strategy, Tally

__all__ = ["Reader", "Scheduler", "Ticket"]


class Reader(Protocol):
    """Who takes a job's tokens; called on the scheduler's thread, so it must be quick and must not block."""

    def took(self, step: Step) -> bool:
        """Take a step; return whether that is enough."""

    def ended(self, tally: Tally, seconds: float, error: BaseException | None) -> None:
        """Learn that no more will come: what the job took, its share of the seconds, and what went wrong if anything.

        The seconds of a step are shared out evenly over its jobs, so their sum is the time the machine was busy.
        """


@dataclass(eq=False)
class Ticket:
    """What is given for jobs that were handed in together: the means to take them back."""

    cancelled: bool = False

    def cancel(self) -> None:
        """Want no more: the rows are freed before the next step, and readers told so."""
        self.cancelled = True


@dataclass(eq=False)
class _Asked:
    """A job on its way: waiting, or with a row."""

    job: Job
    reader: Reader
    ticket: Ticket
    seconds: float = 0.0


class Scheduler:
    """Runs jobs through a strategy on a thread of its own, which rests where there is nothing to do.

    Jobs are admitted in the order they came, a ticket's together where they fit (so that no ticket overtakes another,
    and none waits for ever). Between two steps at most `prompt_tokens` of prompts are run, or one ticket, so that long
    prompts do not stop the answers in flight for long.

    Args:
        strategy: what moves jobs on.
        max_rows: how many jobs run together.
        prompt_tokens: see above.
        name: of the thread.
        turn: entered around every call of the strategy, to take turns with other users of the same weights.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        max_rows: int = 32,
        prompt_tokens: int = 2048,
        name: str = "decode",
        turn: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.strategy = strategy
        self.max_rows = max_rows
        self.prompt_tokens = prompt_tokens
        self._turn = contextlib.nullcontext() if turn is None else turn
        self._guard = threading.Lock()
        self._waiting: deque[list[_Asked]] = deque()
        self._active: list[_Asked] = []
        self._working = False
        # It outlives the jobs, since a new thread needs a new team of compute threads; it ends with this object.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def submit(self, jobs: Sequence[Job], readers: Sequence[Reader]) -> Ticket:
        """Hand jobs in, each with its reader; return at once. Their equal prompts run once."""
        ticket = Ticket()
        asked = [_Asked(job, reader, ticket) for job, reader in zip(jobs, readers, strict=True)]
        with self._guard:
            # More than fit together are split; the prompt then runs once a part.
            self._waiting += [asked[at : at + self.max_rows] for at in range(0, len(asked), self.max_rows)]
            if not self._working:
                self._working = True
                self._pool.submit(self._work)
        return ticket

    @property
    def rows(self) -> int:
        """How many jobs are running now."""
        return len(self._active)

    # On the thread. Whatever goes wrong there is handed to the readers, BaseException too: nobody else would hear of
    # it, and they would wait for ever.

    def _work(self) -> None:
        while True:
            self._drop_cancelled()
            self._admit()
            if self._active:
                self._step()
                continue
            with self._guard:
                if not self._waiting:
                    self._working = False
                    return

    def _drop_cancelled(self) -> None:
        gone = [one for one in self._active if one.ticket.cancelled]
        with self._guard:
            for group in [group for group in self._waiting if group[0].ticket.cancelled]:
                self._waiting.remove(group)
                gone += group
        for one in gone:
            self._end(one, None)

    def _admit(self) -> None:
        budget = self.prompt_tokens
        batch: list[_Asked] = []
        with self._guard:
            while self._waiting:
                group = self._waiting[0]
                size = sum(len(ids) for ids in group[0].job.prompt)
                if len(self._active) + len(batch) + len(group) > self.max_rows or (batch and size > budget):
                    break
                batch += self._waiting.popleft()
                budget -= size
        if batch:
            self._begin(batch)

    def _begin(self, batch: list[_Asked]) -> None:
        started = time.perf_counter()
        try:
            with self._turn:
                self.strategy.begin([one.job for one in batch])
        except BaseException as error:
            if len(batch) == 1:
                self._end(batch[0], error)
                return
            # One of them does not fit, say; the others must not suffer for it.
            for one in batch:
                self._begin([one])
            return
        _share(batch, time.perf_counter() - started)
        self._active += batch

    def _step(self) -> None:
        batch = list(self._active)
        started = time.perf_counter()
        try:
            with self._turn:
                steps = self.strategy.step([one.job for one in batch])
        except BaseException as error:
            for one in batch:
                self._end(one, error)
            return
        _share(batch, time.perf_counter() - started)
        for one, step in zip(batch, steps, strict=True):
            if one.ticket.cancelled:
                continue  # ended before the next step
            try:
                if step.error is not None:
                    raise step.error
                if one.reader.took(step):
                    self._end(one, None)
            except BaseException as error:
                self._end(one, error)

    def _end(self, one: _Asked, error: BaseException | None) -> None:
        if one in self._active:
            self._active.remove(one)
        tally = Tally()
        try:
            with self._turn:
                tally = self.strategy.end(one.job)
        except BaseException as trouble:
            error = error or trouble
        with contextlib.suppress(Exception):  # a reader that fails must not stop the others
            one.reader.ended(tally, one.seconds, error)


def _share(batch: Sequence[_Asked], seconds: float) -> None:
    for one in batch:
        one.seconds += seconds / len(batch)
