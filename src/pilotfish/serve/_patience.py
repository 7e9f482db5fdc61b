"""A time limit on each of many waits, for the price of one timer.

`asyncio.timeout` makes and cancels a timer for each wait, which costs more than passing on a token does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

__all__ = ["Patience"]


class Patience:
    """Waits of one task, each of at most so many seconds. The one timer looks, when it rings, how long it has been.

    Args:
        seconds: how long a wait may be.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._due: float | None = None
        self._lost = False
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(seconds, self._ring)

    async def wait(self, work: Awaitable[T]) -> T:
        """Return what `work` gives.

        Raises:
            TimeoutError: it took too long.
        """
        self._due = self._loop.time() + self._seconds
        try:
            return await work
        except asyncio.CancelledError:
            if self._lost and self._task is not None and self._task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            self._due = None

    def end(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        now = self._loop.time()
        if self._due is not None and now >= self._due and self._task is not None:
            self._timer = None
            self._lost = True
            self._task.cancel()
            return
        self._timer = self._loop.call_at(now + self._seconds if self._due is None else self._due, self._ring)
