"""Many requests to one model: bounded, within a budget, each of them paid for once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pilotfish.errors import ConfigError, DataError, ModelError, UpstreamError
from pilotfish.model import Model, Reply, Request
from pilotfish.models.calls._store import CallStore, keys_of
from pilotfish.models.calls.budget import Budget, Purse
from pilotfish.rows._describe import known_as
from pilotfish.rows._progress import Progress
from pilotfish.rows.asking import Bill
from pilotfish.rows.model_stage import concurrency_of

__all__ = ["Calls", "Failure", "Reuse"]

Reuse = Literal["exact", "finished"]
GIVE_UP_AFTER = 20  # calls that fail one after another


@dataclass(frozen=True)
class Failure:
    """Why a request has no answer.

    Attributes:
        reason: in words.
        again: whether another run may get one: the endpoint failed, or the budget was spent.
    """

    reason: str
    again: bool


class Calls:
    """Asks a model; what it said is stored under the hash of the whole request before anything is made of it.

    Args:
        model: any model, so any collaboration too.
        path: the file of the store.
        budget: what all calls together may take, those of earlier sessions included.
        concurrency: calls under way at once; None is as many as the model takes, or 8 where it does not say.
        reuse: "exact" takes a stored answer to the very same request; "finished" takes one that was asked with
            another `max_tokens`, too, where it came to its end and has room in the new one.

    Attributes:
        asked: calls made in this session.
        taken: answers that the store gave.
        spent: whether the budget has stopped calls.
    """

    def __init__(
        self,
        model: Model,
        path: str | Path,
        *,
        budget: Budget | None = None,
        concurrency: int | None = None,
        reuse: Reuse = "exact",
    ) -> None:
        if reuse not in get_args(Reuse):
            raise ConfigError(f"reuse is one of {', '.join(get_args(Reuse))}, not {reuse!r}")
        self.model, self.concurrency, self.reuse = model, concurrency_of(model, concurrency), reuse
        self.store = CallStore(path)
        self._purse = Purse(budget or Budget(), self.store.bill())
        self.asked = self.taken = 0
        self.spent = False

    @property
    def bill(self) -> Bill:
        """What all calls took, those of earlier sessions included."""
        return self._purse.bill

    def bill_of(self, requests: Sequence[Request]) -> Bill:
        """Return what the answers to these requests took, whenever they were given; equal requests are one call."""
        named = known_as(self.model)
        keys = {keys_of(named, request)[0] for request in requests}
        return sum(map(self.store.bill_of, keys), Bill())

    async def replies(self, requests: Sequence[Request], *, progress: bool = True) -> list[Reply | Failure]:
        """Return one reply a request, in order, or why there is none. Equal requests are one call.

        Raises:
            UpstreamError: the endpoint fails for request after request; what was answered stays.
            ModelError: the model could answer none of the first requests.
            ConfigError: a budget in dollars, and the price is not known.
        """
        named = known_as(self.model)
        keys = [keys_of(named, request) for request in requests]
        found: dict[bytes, Reply | Failure] = {}
        left: dict[bytes, tuple[bytes, Request]] = {}
        for (key, loose), request in zip(keys, requests, strict=True):
            if key in found or key in left:
                continue
            known = self.store.get(key)
            if known is None and self.reuse == "finished":
                known = self.store.get_loose(loose, request.max_tokens)
            if known is not None:
                found[key] = known
                self.taken += 1
            else:
                left[key] = (loose, request)
        with Progress(len(found) + len(left), len(found), shown=progress and bool(left), unit="calls") as bar:
            found |= await _Session(self, left, bar).go()
        return [found[key] for key, _ in keys]

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class _Session:
    def __init__(self, calls: Calls, left: dict[bytes, tuple[bytes, Request]], bar: Progress) -> None:
        self.calls, self.bar = calls, bar
        self.waiting = iter(left.items())
        self.found: dict[bytes, Reply | Failure] = dict.fromkeys(left, _SPENT)
        self.failed = self.upstream = 0  # one after another: calls, and those of them that the endpoint failed
        self.room = asyncio.Condition()

    async def go(self) -> dict[bytes, Reply | Failure]:
        count = min(self.calls.concurrency, len(self.found))
        workers = [asyncio.ensure_future(self._work()) for _ in range(count)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return self.found

    async def _work(self) -> None:
        # One iterator for all workers: who takes a request asks whether it may begin, and nobody asks for nothing.
        for key, (loose, request) in self.waiting:
            if not await self._may_begin(request):
                return
            bill = None
            try:
                reply = await self.calls.model.reply(request)
                bill = self.calls.store.put(key, loose, reply)
                self.found[key] = reply
                self.failed = self.upstream = 0
                self.calls.asked += 1
            except (ModelError, DataError) as error:
                self.found[key] = Failure(str(error), again=isinstance(error, UpstreamError))
                self._count(error)
            finally:
                await self._end(bill)
            self.bar.note = _told(self.calls.bill)
            self.bar.add(1, rejected=0 if bill is not None else 1)

    async def _may_begin(self, request: Request) -> bool:
        """Begin a call, where need be once those under way have told what they take; False where none may any more."""
        purse = self.calls._purse
        purse.expect(request, getattr(self.calls.model, "price", None))
        async with self.room:
            while not purse.allows:
                if not purse.waits:
                    self.calls.spent = True
                    return False
                await self.room.wait()
            purse.begin()
            return True

    async def _end(self, bill: Bill | None) -> None:
        async with self.room:
            self.calls._purse.end(bill)
            self.room.notify_all()

    def _count(self, error: ModelError | DataError) -> None:
        """Give up where the endpoint fails again and again, or where nothing at all has worked yet."""
        self.failed += 1
        self.upstream = self.upstream + 1 if isinstance(error, UpstreamError) else 0
        if self.upstream >= GIVE_UP_AFTER:
            raise UpstreamError(f"{self.upstream} calls failed one after another; the last: {error}") from error
        if self.failed >= GIVE_UP_AFTER and not self.calls.asked and not self.calls.taken:
            raise ModelError(f"the first {self.failed} calls all failed; the last: {error}") from error


_SPENT = Failure("the budget is spent", again=True)


def _told(bill: Bill) -> str:
    tokens = f"{bill.tokens_in + bill.tokens_out:,} tokens"
    return tokens if not bill.cost else f"{tokens}, ${bill.cost:,.4f}"
