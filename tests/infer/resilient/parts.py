"""What the tests of resilient models share: a clock of their own, and streams that go wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pilotfish.errors import UpstreamError
from pilotfish.model import Call, Delta, Reply, Request, Trace

ASKED = Request.of("What is up?")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Piecewise:
    """A model that streams `pieces`, waits `delay` before the first and `pause` before each next, then may fail."""

    def __init__(
        self,
        pieces: tuple[str, ...] = ("all ", "well"),
        *,
        name: str = "piecewise",
        error: Exception | None = None,
        delay: float = 0.0,
        pause: float = 0.0,
    ) -> None:
        self.name, self.pieces, self.error, self.delay, self.pause = name, pieces, error, delay, pause
        self.begun = self.closed = self.cancelled = 0

    async def reply(self, request: Request) -> Reply:
        """The whole, or the error."""
        async for delta in self.stream(request):
            last = delta
        assert last.reply is not None
        return last.reply

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """The pieces, then the reply or the error."""
        self.begun += 1
        try:
            await asyncio.sleep(self.delay)
            yield Delta()  # shows nothing
            for number, piece in enumerate(self.pieces):
                if number:
                    await asyncio.sleep(self.pause)
                yield Delta(piece)
            if self.error is not None:
                raise self.error
            calls = (Call(self.name, tokens_in=3, tokens_out=len(self.pieces), cost=0.01),)
            yield Delta(reply=Reply("".join(self.pieces), trace=Trace(calls)))
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.closed += 1


def down(status: int | None = 500) -> UpstreamError:
    return UpstreamError("down", status=status)
