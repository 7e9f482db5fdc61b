"""Which requests go together: gathered until nobody adds more, cut at the provider's limits, less where it is full."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pilotfish.models._batch_settings import Settings

if TYPE_CHECKING:
    from pilotfish.models._batch_clerk import Waiting

__all__ = ["Queue"]

_LONGEST = 600.0  # seconds to wait for room at the provider


class Queue:
    """Gathers requests and sends them batch after batch; used in the desk's loop.

    Args:
        settings: of the desk.
        send: sends a batch; returns once it is at the provider, or its requests have been told why not.
        quiet: returns when no batch is under way.
        loop: the desk's.
    """

    def __init__(
        self,
        settings: Settings,
        send: Callable[[list[Waiting]], Awaitable[None]],
        quiet: Callable[[], Awaitable[None]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.settings, self._send, self._quiet = settings, send, quiet
        self._loop = loop
        self._open: dict[bytes, Waiting] = {}
        self._size, self._last = 0, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed: deque[list[Waiting]] = deque()
        self._news = asyncio.Event()
        # After the provider had no room: the most requests in one batch, one batch at a time.
        self._most: int | None = None
        self._refusals = self._alone = 0
        self._not_before = 0.0

    def add(self, one: Waiting) -> None:
        """Put a request into the batch that is being gathered."""
        if self._open and self._size + len(one.line) > self.settings.most_bytes:
            self._close()
        self._open[one.key] = one
        self._size += len(one.line)
        self._last = self._loop.time()
        if len(self._open) >= self.settings.most_requests:
            self._close()
        elif self._timer is None:
            self._timer = self._loop.call_later(self.settings.gather, self._tick)

    def drop(self, one: Waiting) -> None:
        """Take a request out that nobody waits for any more; one that is on its way stays in its batch."""
        if self._open.pop(one.key, None) is not None:
            self._size -= len(one.line)

    def crowded(self, batch: list[Waiting]) -> int:
        """Take back a batch for which the provider had no room; return how many go at once now, 0 for giving up."""
        self._refusals += 1
        if len(batch) <= 1:
            self._alone += 1
            if self._alone > self.settings.retries:
                return 0
            self._most = 1
        else:
            self._most = min(self._most or len(batch), (len(batch) + 1) // 2)
        pause = min(_LONGEST, self.settings.poll * 2 ** min(self._refusals - 1, 10))
        self._not_before = self._loop.time() + pause
        self._closed.appendleft(batch)
        self._news.set()
        return self._most

    def went_well(self) -> None:
        """Take note that a batch came through."""
        self._refusals = self._alone = 0

    async def run(self) -> None:
        """Send what is closed, for ever."""
        while True:
            while not self._closed:
                self._news.clear()
                await self._news.wait()
            await asyncio.sleep(max(0.0, self._not_before - self._loop.time()))
            if self._most is not None:
                await self._quiet()
            batch = [one for one in self._closed.popleft() if one.futures]
            if self._most is not None and len(batch) > self._most:
                self._closed.appendleft(batch[self._most :])
                batch = batch[: self._most]
            if batch:
                await self._send(batch)

    def _tick(self) -> None:
        """Close the batch if nobody has added to it for long enough; else look again when that may be so."""
        self._timer = None
        left = self._last + self.settings.gather - self._loop.time()
        if not self._open:
            return
        if left <= 0.001:
            self._close()
        else:
            self._timer = self._loop.call_later(left, self._tick)

    def _close(self) -> None:
        self._closed.append(list(self._open.values()))
        self._open, self._size = {}, 0
        self._news.set()
