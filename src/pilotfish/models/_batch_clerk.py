"""What happens at the desk, all of it in the desk's own loop: who waits for what, which batch is on its way."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pilotfish.errors import ConfigError, DataError, ModelError, PilotfishError, UpstreamError
from pilotfish.models._batch_api import BatchApi
from pilotfish.models._batch_form import Outcome
from pilotfish.models._batch_journal import Journal, Plan
from pilotfish.models._batch_queue import Queue
from pilotfish.models._batch_run import CrowdedError, Found, Run, leftovers
from pilotfish.models._batch_settings import Settings
from pilotfish.models._batch_told import Teller

__all__ = ["CLOSED", "Answer", "Clerk", "Waiting"]

CLOSED = "the batch model was closed before the answer came; ask again to wait for it"
# What concerns a batch's own requests; an error of the journal concerns all, and ends the desk.
_TOLD = (ModelError, ConfigError)
_NOTES = 0.2  # seconds between two notes of what was taken


@dataclass(frozen=True)
class Answer:
    """An outcome, and why it costs nothing, where it does not: it was taken before, or an equal request took it."""

    outcome: Outcome
    free: str = ""


@dataclass(eq=False)
class Waiting:
    """A request that somebody waits for."""

    key: bytes
    line: bytes
    futures: list[Future[Answer]] = field(default_factory=list)


class Clerk:
    """Does the work of a desk; but for `taken`, to which any thread may add, nothing here is for other threads.

    Attributes:
        taken: keys of answers that somebody was given, to be noted.
        sending: our id of the batch that is being sent; empty where none is.
    """

    def __init__(self, settings: Settings, journal: Journal, teller: Teller, loop: asyncio.AbstractEventLoop) -> None:
        self.settings, self.journal, self.teller, self.loop = settings, journal, teller, loop
        self.taken: deque[bytes] = deque()
        self.sending = ""
        self._api = BatchApi(settings)
        self._queue = Queue(settings, self._send, self._quiet, loop)
        self._stopped: asyncio.Future[None] = loop.create_future()
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[bytes, Waiting] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._troubles: dict[str, ModelError | ConfigError] = {}  # why one is no longer followed that has not ended
        self._finishing: list[Future[None]] = []

    async def work(self) -> None:
        """Work until `stop`, or until something goes wrong that is no single batch's matter."""
        for path in leftovers(self.settings.folder):
            path.unlink(missing_ok=True)
        async with self._api:
            for plan in self.journal.plans(ended=False):
                if plan.state == "planned":
                    self.journal.dissolve(plan.ours)
                elif plan.ours not in self._runs:
                    self._follow(plan)
            self._spawn(self._queue.run())
            self._spawn(self._notes())
            try:
                await self._stopped
            finally:
                tasks = list(self._tasks)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """End the work."""
        if not self._stopped.done():
            self._stopped.set_result(None)

    def close(self, failure: BaseException | None) -> None:
        """Tell all who still wait that the work has ended, and why."""
        self._closed = True
        self._fail(list(self._waiting), failure or UpstreamError(CLOSED))
        for future in self._finishing:
            _set(future, failure or UpstreamError(CLOSED))
        self.note()

    def take_in(self, asked: Waiting) -> None:
        """Answer a request, or have it wait."""
        (future,) = asked.futures
        try:
            if self._closed:
                raise UpstreamError(CLOSED)
            self._take_in(asked, future)
        except Exception as error:
            self._waiting.pop(asked.key, None)
            _set(future, error)

    def let_go(self, key: bytes, future: Future[Answer]) -> None:
        """Forget somebody who waits no longer; a request that nobody waits for is not sent."""
        here = self._waiting.get(key)
        if here is None or future not in here.futures:
            return
        here.futures.remove(future)
        if not here.futures:
            del self._waiting[key]
            self._queue.drop(here)

    def finish(self, future: Future[None]) -> None:
        """Give `future` its result when no batch is under way."""
        self._finishing.append(future)
        if not self._closed:
            self._spawn(self._finish(future))

    def note(self) -> None:
        """Write down what has been taken."""
        keys = [self.taken.popleft() for _ in range(len(self.taken))]
        try:
            if keys:
                self.journal.took(keys)
        except DataError as error:
            if not self._stopped.done():
                self._stopped.set_exception(error)

    def _take_in(self, asked: Waiting, future: Future[Answer]) -> None:
        here = self._waiting.get(asked.key)
        if here is not None:
            here.futures.append(future)
            return
        known = self.journal.look(asked.key)
        if known is not None and known.outcome is not None:
            _set(future, Answer(known.outcome, "batch journal" if known.taken else ""))
            return
        self._waiting[asked.key] = asked
        plan = self.journal.plan_of(known.batch) if known is not None else None
        if plan is None:
            self._queue.add(asked)
        elif plan.ours in self._runs or plan.ours == self.sending:
            pass  # it comes with that batch
        elif plan.state == "planned":  # its file never went out whole
            self.journal.dissolve(plan.ours)
            self._queue.add(asked)
        else:
            self._follow(plan)

    async def _send(self, batch: list[Waiting]) -> None:
        """Send a batch; who waits is told where that fails."""
        keys = [one.key for one in batch]
        plan = self.journal.plan(self.settings.base, keys)
        run = Run(self._api, self.journal, self.teller, plan)
        self.sending = plan.ours
        try:
            # Among those who wait now: who left and came back meanwhile counts, too.
            if await run.send([one.line for one in batch], lambda: bool(self._among(keys))):
                self._follow(plan, run)
        except CrowdedError as error:
            self._crowd(self._among(keys), str(error))
        except _TOLD as error:
            self.sending = ""  # before anybody hears of it, who may ask again at once
            self._fail(keys, error)
        finally:
            self.sending = ""

    def _follow(self, plan: Plan, run: Run | None = None) -> None:
        def gone(task: asyncio.Task[None]) -> None:
            if self._runs.get(plan.ours) is task:
                del self._runs[plan.ours]

        self._troubles.pop(plan.ours, None)
        task = self._spawn(self._through(run or Run(self._api, self.journal, self.teller, plan)))
        self._runs[plan.ours] = task
        task.add_done_callback(gone)

    async def _through(self, run: Run) -> None:
        """Go the rest of a batch's way."""
        plan = run.plan
        try:
            if run.status is None and plan.state == "uploaded" and not await run.find():
                batch = self._among(self.journal.open_keys(plan.ours))
                self.journal.dissolve(plan.ours)
                for one in batch:
                    self._queue.add(one)
                return
            status = await run.wait()
            if status.crowded:
                batch = self._among(self.journal.open_keys(plan.ours))
                self.journal.dissolve(plan.ours, told=True)
                self.teller.gone(status.id)
                self._crowd(batch, status.why)
                return
            await run.harvest(status, self._deliver)
            self._queue.went_well()
        except _TOLD as error:
            if run.status is not None:
                self.teller.gone(run.status.id)
            self._troubles[plan.ours] = error
            self._runs.pop(plan.ours, None)  # before anybody hears of it, who may ask again at once
            self._fail(self.journal.open_keys(plan.ours), error)

    def _among(self, keys: Iterable[bytes]) -> list[Waiting]:
        """Return those of the requests that somebody waits for."""
        return [self._waiting[key] for key in keys if key in self._waiting]

    def _crowd(self, batch: list[Waiting], why: str) -> None:
        """Send again what the provider had no room for: less at a time, and later. Give up where nothing fits."""
        size = self._queue.crowded(batch) if batch else 0
        if size:
            self.teller.say(f"the endpoint has no room for {len(batch):,} requests ({why}); next {size:,} at a time")
            return
        said = f"the endpoint has no room for a single request ({why}); run again when its other batches are done"
        self._fail([one.key for one in batch], UpstreamError(said))

    def _deliver(self, found: Found) -> None:
        for key, outcome in found:
            here, free = self._waiting.pop(key, None), ""
            for future in here.futures if here is not None else ():
                if _set(future, Answer(outcome, free)):
                    free = "shared with an equal request"

    def _fail(self, keys: Iterable[bytes], error: BaseException) -> None:
        for key in keys:
            here = self._waiting.pop(key, None)
            for future in here.futures if here is not None else ():
                # A copy for each: one that is raised in thousands of tasks would gather all their tracebacks.
                _set(future, copy.copy(error) if isinstance(error, PilotfishError) else error)

    async def _finish(self, future: Future[None]) -> None:
        await self._quiet()
        self._finishing.remove(future)
        _set(future, next(iter(self._troubles.values()), None))

    async def _quiet(self) -> None:
        """Wait until no batch is under way."""
        while self._runs:
            await asyncio.wait(list(self._runs.values()))

    async def _notes(self) -> None:
        while True:
            await asyncio.sleep(_NOTES)
            self.note()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        """End the work with what a task ended with, which is a disk that is full or a bug of ours."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._stopped.done():
            self._stopped.set_exception(error)


def _set(future: Future[Any], result: Any) -> bool:
    """Give a result to somebody who may have left a moment ago; return whether it was taken."""
    if not future.set_running_or_notify_cancel():
        return False
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
    return True
