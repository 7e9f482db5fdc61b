"""Hedged calls: when an answer is late, it is asked for once more, and the first to come counts.

Source: Dean and Barroso 2013 (The Tail at Scale), "Hedged requests".
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from pilotfish.errors import ConfigError
from pilotfish.infer.resilient._race import Entry, Race
from pilotfish.infer.resilient._streams import failed_call
from pilotfish.model import Call, Decision, Delta, Model, Price, Reply, Request, Trace, Usage

__all__ = ["Hedged"]

_LEAST = 20  # latencies before their quantile means something
_MOST = 200  # latencies kept


@dataclass(eq=False)
class Hedged:
    """A model that asks a second time when the first call is late; the first answer wins, the other is cancelled.

    Both are paid for: the trace shows a cancelled call as if it had been answered in full, with the winner's tokens,
    which is an upper bound. Of a stream the first piece decides. A call that fails is not asked again by this, only
    where the other is under way already does that one still count: see `Fallback`.

    Attributes:
        models: one, which is asked twice; or several, asked in this order.
        after: seconds after which a call is late; where None, the `quantile` of the own past latencies (nothing is
            hedged until 20 of them are known).
        quantile: in (0, 1): 0.95 hedges about one call of twenty.
        share: the largest share of requests that are hedged, so that a slow day does not double the load.
        name: what decisions show.
    """

    models: Sequence[Model]
    after: float | None = None
    quantile: float = 0.95
    share: float = 1.0
    name: str = "hedged"
    _took: dict[bool, deque[float]] = field(init=False, repr=False)
    _requests: int = field(default=0, init=False, repr=False)
    _hedges: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError(f"{self.name}: hedging needs a model")
        if not (self.after is None or self.after >= 0) or not 0 < self.quantile < 1 or not 0 < self.share <= 1:
            raise ConfigError(
                f"{self.name}: after is 0 seconds or more, quantile in (0, 1), share in (0, 1]; not "
                f"{self.after}, {self.quantile}, {self.share}"
            )
        # Seconds to whole replies, and to the first piece of streams.
        self._took = {False: deque(maxlen=_MOST), True: deque(maxlen=_MOST)}

    async def reply(self, request: Request) -> Reply:
        """Return the first answer; where every call made fails, raise what the first of them raised."""
        self._requests += 1
        async with Race(request, self._order(), streamed=False) as race:
            winner = await race.first(self._delay(streamed=False), self._may_hedge)
            assert winner.delta is not None
            assert winner.delta.reply is not None
            self._took[False].append(race.seconds(winner))
            return self._traced(winner.delta.reply, race, winner)

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Pass on the stream whose first piece came first."""
        self._requests += 1
        async with Race(request, self._order(), streamed=True) as race:
            winner = await race.first(self._delay(streamed=True), self._may_hedge)
            self._took[True].append(race.seconds(winner))
            delta = winner.delta
            while delta is not None:
                yield delta if delta.reply is None else replace(delta, reply=self._traced(delta.reply, race, winner))
                delta = await winner.next()

    def _order(self) -> list[Model]:
        return list(self.models) if len(self.models) > 1 else [self.models[0]] * 2

    def _delay(self, streamed: bool) -> float | None:
        """Return the seconds after which a call is late; None where that is not known yet."""
        if self.after is not None:
            return self.after
        took = sorted(self._took[streamed])
        return took[min(len(took) - 1, int(self.quantile * len(took)))] if len(took) >= _LEAST else None

    def _may_hedge(self) -> bool:
        if self._hedges + 1 > max(1.0, self.share * self._requests):
            return False
        self._hedges += 1
        return True

    def _traced(self, reply: Reply, race: Race, winner: Entry) -> Reply:
        """Put the calls of those that lost before the winner's own."""
        if len(race.entries) == 1:
            return reply
        lost: tuple[Call, ...] = ()
        for entry in race.entries:
            if entry is not winner:
                lost += _calls_of(entry, reply, entry.model is winner.model)
        which = race.entries.index(winner) + 1
        decision = Decision(self.name, f"asked {len(race.entries)} times, call {which} answered first")
        return reply.with_(trace=Trace(lost) + reply.trace + Trace(decisions=(decision,)))


def _calls_of(entry: Entry, winner: Reply, same: bool) -> tuple[Call, ...]:
    """Return the calls of one that lost: what it took where it answered too, else an upper bound of it."""
    if entry.delta is not None and entry.delta.reply is not None:
        return entry.delta.reply.trace.calls
    seconds = time.perf_counter() - entry.began
    if entry.error is not None:
        return (failed_call(entry.model, entry.error, seconds),)
    usage = winner.usage
    cost = winner.cost if same else _price_of(entry.model, usage)
    why = "cancelled since another call answered first; counted as answered in full"
    return (Call(entry.model.name, "hedge", usage.tokens_in, usage.tokens_out, seconds, cost, why=why),)


def _price_of(model: Model, usage: Usage) -> float | None:
    price = getattr(model, "price", None)
    return price.cost(usage.tokens_in, usage.tokens_out) if isinstance(price, Price) else None
