"""Circuit breaker: a model that keeps failing is left alone for a while, and callers need not wait for it to fail.

Source: Nygard 2007 (Release It!), "Circuit Breaker".
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal

from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.infer.resilient._streams import pieces_of
from pilotfish.infer.resilient._window import Window
from pilotfish.model import Delta, Model, Reply, Request

__all__ = ["Breaker", "State"]

State = Literal["closed", "open", "half-open"]
# Statuses by which an endpoint blames the request: they tell nothing about its own health.
_REQUESTS_FAULT = frozenset({400, 413, 415, 422})


@dataclass(eq=False)
class Breaker:
    """A model that fails at once while the one it wraps is thought to be down.

    Closed, it passes everything on. It opens at a failure when, within `window` seconds, `failures` calls or more have
    failed and they are `share` or more of all. Open, it refuses every request for `rest` seconds. Then, half-open, it
    lets one request through as a probe: if that succeeds it closes, if it fails it opens again. A cancelled probe
    proves nothing, so the next request is the probe.

    A failure is an UpstreamError, unless by its status (400, 413, 415, 422) the request is to blame. To count slowness
    as failure, give a `Timed` model.

    Attributes:
        model: the model.
        failures, window, share: when it opens.
        rest: seconds that it stays open.
        name: what decisions show.
        clock: seconds that never run backwards.
    """

    model: Model
    failures: int = 5
    window: float = 30.0
    rest: float = 15.0
    share: float = 0.5
    name: str = "breaker"
    clock: Callable[[], float] = time.monotonic
    _opened: float | None = field(default=None, init=False, repr=False)
    _probing: bool = field(default=False, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.failures < 1 or not (self.window > 0 and self.rest > 0 and 0 <= self.share <= 1):
            raise ConfigError(
                f"{self.name}: failures are 1 or more, window and rest above 0 s, share in [0, 1]; not "
                f"{self.failures}, {self.window}, {self.rest}, {self.share}"
            )
        self._window = Window(self.window, self.clock)

    @property
    def state(self) -> State:
        """What would happen to a request now."""
        with self._lock:
            if self._opened is None:
                return "closed"
            return "half-open" if self.clock() - self._opened >= self.rest else "open"

    async def reply(self, request: Request) -> Reply:
        """Pass the request on, or refuse it.

        Raises:
            UpstreamError: the model's own; or status 503 while the breaker is open, with the seconds left.
        """
        probe = self._enter()
        healthy: bool | None = None
        try:
            reply = await self.model.reply(request)
            healthy = True
        except UpstreamError as error:
            healthy = _is_healthy(error)
            raise
        finally:
            self._leave(probe, healthy)
        return reply.decided(self.name, "closed again") if probe else reply

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Pass the stream on, or refuse it; a stream that breaks off is a failure, one that is left proves nothing."""
        probe = self._enter()
        healthy: bool | None = None
        try:
            async with aclosing(pieces_of(self.model, request)) as pieces:
                async for delta in pieces:
                    if delta.reply is None:
                        yield delta
                        continue
                    healthy = True
                    yield replace(delta, reply=delta.reply.decided(self.name, "closed again")) if probe else delta
        except UpstreamError as error:
            healthy = _is_healthy(error)
            raise
        finally:
            self._leave(probe, healthy)

    def _enter(self) -> bool:
        """Let a request in; return whether it is the probe."""
        with self._lock:
            if self._opened is None:
                return False
            left = self.rest - (self.clock() - self._opened)
            if left <= 0 and not self._probing:
                self._probing = True
                return True
        now = f"for {left:.3g} s more" if left > 0 else "while one request tries it"
        message = f"{self.name}: {self.model.name} has failed too often and is left alone {now}"
        raise UpstreamError(message, status=503, retry_after=max(left, 0.0))

    def _leave(self, probe: bool, healthy: bool | None) -> None:
        """Take note of how a request ended; None where it was cancelled, or failed by no fault of the endpoint."""
        with self._lock:
            if probe:
                self._probing = False
                if healthy:
                    self._opened = None
                    self._window.clear()
                elif healthy is False:
                    self._opened = self.clock()
                return
            # What began before the breaker opened tells nothing new.
            if self._opened is not None or healthy is None:
                return
            self._window.add(healthy)
            good, bad = self._window.counts()
            # An answer opens nothing, though the window may have lost older ones, so that failures are now the more.
            if not healthy and bad >= self.failures and bad >= self.share * (good + bad):
                self._opened = self.clock()


def _is_healthy(error: UpstreamError) -> bool | None:
    """Say that the endpoint is down; None where the request is to blame."""
    return None if error.status in _REQUESTS_FAULT else False
