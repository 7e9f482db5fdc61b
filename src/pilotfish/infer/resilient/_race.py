"""Calls that race for the first piece of an answer, each in a task of its own; leaving the race cancels them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Self

from pilotfish.errors import ModelError
from pilotfish.infer.resilient._streams import is_shown, pieces_of
from pilotfish.model import Delta, Model, Request

__all__ = ["Entry", "Race"]


class Entry:
    """One call of the race. The task that reads a stream also closes it, whoever wins.

    Attributes:
        model: who is asked.
        began: `time.perf_counter()` at the start.
        came: the same at the first piece.
        delta: the latest piece taken; None before the first.
        error: why it failed.
    """

    def __init__(self, model: Model, request: Request, streamed: bool) -> None:
        self.model = model
        self.began = time.perf_counter()
        self.came = 0.0
        self.delta: Delta | None = None
        self.error: Exception | None = None
        self._pieces: asyncio.Queue[Delta | None] = asyncio.Queue(1)
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run(request, streamed))

    async def next(self) -> Delta | None:
        """Return the next piece; None at the end. Raises what the model raised."""
        self.delta = await self._pieces.get()
        if self.delta is None and self.error is not None:
            raise self.error
        return self.delta

    async def _run(self, request: Request, streamed: bool) -> None:
        try:
            if streamed:
                async with aclosing(pieces_of(self.model, request)) as pieces:
                    async for delta in pieces:
                        if is_shown(delta):
                            await self._give(delta)
            else:
                reply = await self.model.reply(request)
                await self._give(Delta(reply.text, reply.tool_calls, reply))
            if not self.came:
                raise ModelError(f"{self.model.name}: the stream ended without an answer")
        except asyncio.CancelledError:
            self.error = ModelError(f"{self.model.name}: the call was cancelled")
            # Whoever waits for the next piece must not wait for ever; this task may not wait any more.
            while not self._pieces.empty():
                self._pieces.get_nowait()
            self._pieces.put_nowait(None)
            raise
        except Exception as error:
            self.error = error
        finally:
            if not self.started.done():
                self.started.set_result(None)
        await self._pieces.put(None)

    async def _give(self, delta: Delta) -> None:
        if not self.came:
            self.came = time.perf_counter()
            self.delta = delta
            self.started.set_result(None)
            return
        await self._pieces.put(delta)


class Race:
    """A race between calls of `models`, started one after another: `async with Race(…) as race: await race.first(…)`.

    Attributes:
        entries: the calls made so far, in order.
    """

    def __init__(self, request: Request, models: Sequence[Model], streamed: bool) -> None:
        self._request, self._models, self._streamed = request, models, streamed
        self.entries: list[Entry] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for entry in self.entries:
            entry.task.cancel()
        # So that no call outlives the answer: those that are cancelled are waited for.
        await asyncio.gather(*(entry.task for entry in self.entries), return_exceptions=True)

    def seconds(self, entry: Entry) -> float:
        """Return the time from the race's start to the entry's first piece."""
        return entry.came - self.entries[0].began

    async def first(self, delay: float | None, may_start: Callable[[], bool]) -> Entry:
        """Return the first call that gives a first piece; the others are cancelled.

        Args:
            delay: seconds after which the next call is started; None starts none.
            may_start: asked before each further call.

        Raises:
            Exception: what the first call raised, where every call that was started failed.
        """
        self._start()
        while True:
            running = [entry for entry in self.entries if not entry.started.done()]
            more = delay is not None and len(self.entries) < len(self._models)
            if running:
                await asyncio.wait(
                    [entry.started for entry in running],
                    timeout=delay if more else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            winner = min((entry for entry in self.entries if entry.came), key=lambda entry: entry.came, default=None)
            if winner is not None:
                for entry in self.entries:
                    if entry is not winner:
                        entry.task.cancel()
                return winner
            if all(entry.error is not None for entry in self.entries):
                assert self.entries[0].error is not None
                raise self.entries[0].error
            if more and not any(entry.started.done() for entry in running):
                if may_start():
                    self._start()
                else:
                    delay = None

    def _start(self) -> None:
        self.entries.append(Entry(self._models[len(self.entries)], self._request, self._streamed))
