"""Which worker gets the next batch: whichever has room; one that may kill its worker gets a worker to itself."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pilotfish.rows.report import StageReport


@dataclass(eq=False)
class Hand:
    """A worker.

    Attributes:
        reports: what its stages did, as it last said.
        said: which of its reports that is: batches end side by side, and word of one may overtake another's.
        busy: batches that it has under way.
    """

    actor: Any
    reports: list[StageReport] = field(default_factory=list)
    said: int = 0
    alive: bool = True
    busy: int = 0

    def hear(self, reports: list[StageReport] | None, number: int) -> None:
        """Take a worker's reports, unless later ones are known."""
        if reports is not None and number > self.said:
            self.reports, self.said = reports, number


class Hands:
    """The workers that have begun, and the batches that wait for one.

    A worker takes with it whatever it was at, so a batch that is suspect is tried in a worker that has nothing else:
    if it is not the cause, it ends well; if it is, no other is lost with it. One worker at a time is kept for these.

    Args:
        slots: batches under way at once in each worker.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._ready: list[Hand] = []
        self._kept: Hand | None = None
        self._waiting: deque[asyncio.Future[Hand]] = deque()
        self._suspect: deque[asyncio.Future[Hand]] = deque()
        self._error: Exception | None = None

    def add(self, hand: Hand) -> None:
        """Let a worker that has begun take batches."""
        self._ready.append(hand)
        self._serve()

    def lost(self, hand: Hand) -> None:
        """Give a worker that died nothing more."""
        hand.alive = False
        if hand in self._ready:
            self._ready.remove(hand)
        self._serve()

    def fail(self, error: Exception) -> None:
        """Tell all who wait, now or later, that no worker will begin."""
        self._error = self._error or error
        for future in (*self._waiting, *self._suspect):
            if not future.done():
                future.set_exception(self._error)

    async def take(self, *, alone: bool) -> Hand:
        """Return a worker that has room, for one batch, until `give_back`.

        Args:
            alone: a worker that has no other batch, and gets none.
        """
        if self._error is not None:
            raise self._error
        future: asyncio.Future[Hand] = asyncio.get_running_loop().create_future()
        (self._suspect if alone else self._waiting).append(future)
        self._serve()
        try:
            return await future
        except asyncio.CancelledError:
            # It may have got one in the meantime.
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give_back(future.result())
            raise

    def give_back(self, hand: Hand) -> None:
        """Have room for another batch in a worker."""
        hand.busy -= 1
        self._serve()

    def _serve(self) -> None:
        for queue in (self._waiting, self._suspect):
            while queue and queue[0].done():  # cancelled
                queue.popleft()
        if self._kept is not None and (not self._kept.alive or not (self._suspect or self._kept.busy)):
            self._kept = None
        if self._suspect:
            if self._kept is None:
                self._kept = min(self._ready, key=_busy, default=None)
            if self._kept is not None and not self._kept.busy:
                self._give(self._suspect, self._kept)
        while self._waiting and (free := [hand for hand in self._ready if self._room(hand)]):
            self._give(self._waiting, min(free, key=_busy))

    def _room(self, hand: Hand) -> bool:
        return hand is not self._kept and hand.busy < self._slots

    def _give(self, queue: deque[asyncio.Future[Hand]], hand: Hand) -> None:
        while queue:
            future = queue.popleft()
            if not future.done():
                hand.busy += 1
                future.set_result(hand)
                return


def _busy(hand: Hand) -> int:
    return hand.busy
