"""Where requests are gathered into batches and handed their answers: one desk a folder, in a thread of its own.

Any event loop of any thread may ask. The desk's own loop does all the rest, so that nothing of it ends with a caller's
loop, and the journal has one writer. It lives as long as somebody waits, and a moment longer.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from pilotfish.errors import ConfigError, ModelError, PilotfishError, UpstreamError
from pilotfish.models._batch_api import BatchApi
from pilotfish.models._batch_form import Outcome
from pilotfish.models._batch_journal import Journal, Plan
from pilotfish.models._batch_queue import Queue
from pilotfish.models._batch_run import CrowdedError, Found, Run, leftovers
from pilotfish.models._batch_settings import Settings
from pilotfish.models._batch_told import Teller
from pilotfish.rows._lock import locked

__all__ = ["Answer", "Desk"]

LINGER = 0.5  # seconds that a desk stays after the last one has left: the next question often comes at once
_NOTES = 0.2  # seconds between two notes of what was taken
# What concerns a batch's own requests; an error of the journal concerns all, and ends the desk.
_TOLD = (ModelError, ConfigError)
_CLOSED = "the batch model was closed before the answer came; ask again to wait for it"


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


class Desk:
    """The desk of one folder; `desk_of` lends it.

    Raises:
        ConfigError: another process has the folder, or it holds another endpoint's batches.
        DataError: the journal cannot be used.

    Attributes:
        holders: how many use it now; changed under the lock of the desks.
        ended: whether it takes nobody any more.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.holders, self.ended = 0, False
        self.taken: deque[bytes] = deque()
        self.teller = Teller(shown=settings.progress)
        self._stack = ExitStack()
        with ExitStack() as opened:
            opened.enter_context(locked(settings.folder))
            self.journal = Journal(settings.folder)
            opened.callback(self.journal.close)
            if strangers := {plan.base for plan in self.journal.plans()} - {settings.base}:
                raise ConfigError(
                    f"{settings.folder} holds the batches of {min(strangers)}, not of {settings.base}: choose another "
                    "folder"
                )
            self._stack = opened.pop_all()
        self.loop = asyncio.new_event_loop()
        self._waiting: dict[bytes, Waiting] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._sending = ""  # our id of the batch that is being sent
        self._finishing: list[Future[None]] = []
        self._troubles: dict[str, ModelError | ConfigError] = {}  # why a batch is no longer followed, though it has not ended
        self._gate = threading.Lock()
        self.thread = threading.Thread(target=self._live, name="pilotfish-batches", daemon=True)

    @property
    def sends(self) -> bool:
        """Whether a batch is being sent."""
        return bool(self._sending)

    def enter(self, key: bytes, line: bytes) -> Future[Answer]:
        """Ask; from any thread."""
        future: Future[Answer] = Future()
        self._ask(self._enter, Waiting(key, line, [future]))
        return future

    def leave(self, key: bytes, future: Future[Answer]) -> None:
        """Wait no longer; from any thread."""
        self._call(self._leave, key, future)

    def finish(self) -> Future[None]:
        """Return what is done when every batch has ended; from any thread."""
        future: Future[None] = Future()
        self._ask(self._begin_to_finish, future)
        return future

    def stop(self) -> None:
        """End; from any thread."""
        self._call(self._stop)

    def note(self) -> None:
        """Write down what has been taken; from any thread."""
        self._call(self._note)

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        """Call in the desk's thread after some time; from any thread."""
        self._call(self.loop.call_later, seconds, what)

    def _ask(self, what: Callable[..., object], *arguments: object) -> None:
        # Under the gate: what is asked before the end is answered, if with the end; what comes after is refused.
        with self._gate:
            if self.ended:
                raise UpstreamError(_CLOSED)
            self._call(what, *arguments)

    def _call(self, what: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has closed: whoever waits has been told
            self.loop.call_soon_threadsafe(what, *arguments)

    def _live(self) -> None:
        asyncio.set_event_loop(self.loop)
        failure: BaseException | None = None
        try:
            self.loop.run_until_complete(self._main())
        except BaseException as error:
            failure = error
        finally:
            with self._gate:
                self.ended = True
            # Who asked in the last moment has put a call into the loop that is still to be run.
            self.loop.run_until_complete(asyncio.sleep(0))
            self._fail(list(self._waiting), failure or UpstreamError(_CLOSED))
            for finishing in self._finishing:
                _set(finishing, failure)
            with suppress(PilotfishError):
                self._note()
            self._stack.close()
            self.loop.close()

    async def _main(self) -> None:
        self._stopped = self.loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self.queue = Queue(self.settings, self._send, self._quiet)
        for path in leftovers(self.settings.folder):
            path.unlink(missing_ok=True)
        async with BatchApi(self.settings) as self._api:
            for plan in self.journal.plans(ended=False):
                if plan.state == "planned":
                    self.journal.dissolve(plan.ours)
                else:
                    self._follow(plan)
            self._spawn(self.queue.run())
            self._spawn(self._notes())
            try:
                await self._stopped
            finally:
                tasks = list(self._tasks)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self.loop.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        """End the desk with what a task ended with, which is a disk that is full or a bug of ours."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._stopped.done():
            self._stopped.set_exception(error)

    def _enter(self, asked: Waiting) -> None:
        (future,) = asked.futures
        try:
            self._take_in(asked)
        except Exception as error:
            self._waiting.pop(asked.key, None)
            _set(future, error)

    def _take_in(self, asked: Waiting) -> None:
        (future,) = asked.futures
        if self.ended:
            raise UpstreamError(_CLOSED)
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
        if plan is not None and (plan.ours in self._runs or plan.ours == self._sending):
            return
        if plan is not None and plan.state != "planned":
            self._follow(plan)
            return
        if plan is not None:  # its file never went out whole
            self.journal.dissolve(plan.ours)
        self.queue.add(asked)

    def _leave(self, key: bytes, future: Future[Answer]) -> None:
        here = self._waiting.get(key)
        if here is None or future not in here.futures:
            return
        here.futures.remove(future)
        if not here.futures:
            del self._waiting[key]
            self.queue.drop(here)

    def _follow(self, plan: Plan, run: Run | None = None) -> None:
        self._troubles.pop(plan.ours, None)
        task = self._spawn(self._through(run or Run(self._api, self.journal, self.teller, plan)))
        self._runs[plan.ours] = task
        task.add_done_callback(lambda task: self._unfollow(plan, task))

    def _unfollow(self, plan: Plan, task: asyncio.Task[None] | None = None) -> None:
        if task is None or self._runs.get(plan.ours) is task:
            self._runs.pop(plan.ours, None)

    async def _send(self, batch: list[Waiting]) -> None:
        """Send a batch; who waits is told where that fails."""
        keys = [one.key for one in batch]
        plan = self.journal.plan(self.settings.base, keys)
        run = Run(self._api, self.journal, self.teller, plan)
        self._sending = plan.ours
        try:
            if await run.send([one.line for one in batch], lambda: bool(self._among(keys))):
                self._follow(plan, run)
        except CrowdedError as error:
            self._crowd(self._among(keys), str(error))
        except _TOLD as error:
            self._sending = ""
            self._fail(keys, error)
        finally:
            self._sending = ""

    async def _through(self, run: Run) -> None:
        """Go the rest of a batch's way."""
        plan = run.plan
        try:
            if run.status is None and plan.state == "uploaded" and not await run.find():
                batch = self._open(plan)
                self.journal.dissolve(plan.ours)
                for one in batch:
                    self.queue.add(one)
                return
            status = await run.wait()
            if status.crowded:
                batch = self._open(plan)
                self.journal.dissolve(plan.ours, told=True)
                self.teller.gone(status.id)
                self._crowd(batch, status.why)
                return
            await run.harvest(status, self._deliver)
            self.queue.went_well()
        except _TOLD as error:
            if run.status is not None:
                self.teller.gone(run.status.id)
            self._troubles[plan.ours] = error
            self._unfollow(plan)  # before anybody hears of it, who may ask again at once
            self._fail(self.journal.open_keys(plan.ours), error)

    def _open(self, plan: Plan) -> list[Waiting]:
        """Return who waits for the requests of a batch of which nothing is known yet."""
        return self._among(self.journal.open_keys(plan.ours))

    def _among(self, keys: Iterable[bytes]) -> list[Waiting]:
        return [self._waiting[key] for key in keys if key in self._waiting]

    def _crowd(self, batch: list[Waiting], why: str) -> None:
        """Send again what the provider had no room for: less at a time, and later. Give up where nothing fits."""
        size = self.queue.crowded(batch)
        if size:
            self.teller.say(f"the endpoint has no room for {len(batch):,} requests ({why}); next {size:,} at a time")
        else:
            said = f"the endpoint has no room for a single request ({why}); run again when its other batches are done"
            self._fail([one.key for one in batch], UpstreamError(said))

    def _deliver(self, found: Found) -> None:
        for key, outcome in found:
            here = self._waiting.pop(key, None)
            for place, future in enumerate(here.futures if here is not None else ()):
                _set(future, Answer(outcome, "shared with an equal request" if place else ""))

    def _fail(self, keys: Iterable[bytes], error: BaseException) -> None:
        for key in keys:
            here = self._waiting.pop(key, None)
            for future in here.futures if here is not None else ():
                # A copy for each: one that is raised in thousands of tasks would gather all their tracebacks.
                _set(future, copy.copy(error) if isinstance(error, PilotfishError) else error)

    def _stop(self) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)

    def _begin_to_finish(self, future: Future[None]) -> None:
        self._finishing.append(future)
        if not self.ended:
            self._spawn(self._finish(future))

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
            self._note()

    def _note(self) -> None:
        keys = [self.taken.popleft() for _ in range(len(self.taken))]
        if keys:
            self.journal.took(keys)


def _set(future: Future[Any], result: Any) -> None:
    """Give a result to somebody who may have left a moment ago."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
