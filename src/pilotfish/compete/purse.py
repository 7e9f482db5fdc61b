"""The hard stop before the budget: how many more questions may be asked, judged by the dearest answers so far."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pilotfish.compete.watch import Budget
from pilotfish.errors import ConfigError
from pilotfish.model import Call, Model, Price, Trace

# Answers differ in what they cost a character of the question; a chunk is let through as if each were this much dearer.
CARE = 1.25
FIRST = 8


@dataclass
class Purse:
    """Pays for one model's answers out of a budget, each question once, and says how many more it may answer.

    The first answer of all is let through to learn its price; from then on no chunk is asked that could overdraw the
    budget, were every answer as dear, a character of the question, as the dearest so far, and a quarter more.

    Attributes:
        model: whose answers are paid for.
        budget: `spent` grows by every answer, kept ones included: the budget is for the measurement as a whole,
            however often it was stopped and resumed.
    """

    model: Model
    budget: Budget
    _paid: set[str] = field(default_factory=set)
    _dearest: float | None = None
    _slowest: float = 0.0

    def allowed(self, sizes: Sequence[int]) -> int:
        """Return how many of the next questions, of these many characters, may be asked at once."""
        rows = len(sizes)
        if self.budget.max_seconds is not None:
            left = self.budget.seconds_left()
            # The first few rows tell the speed.
            rows = 0 if left <= 0 else min(rows, int(left / self._slowest) if self._slowest else FIRST)
        if self.budget.max_cost is None:
            return rows
        left = self.budget.dollars_left()
        if self._dearest is None:
            return min(rows, 1) if left > 0 else 0
        cost = 0.0
        for i, size in enumerate(sizes[:rows]):
            cost += CARE * self._dearest * size
            if cost > left:
                return i
        return rows

    def pay(self, key: str, size: int, trace: Trace) -> None:
        """Count an answer's cost.

        Raises:
            ConfigError: there is a limit in dollars, and the model's price is not known.
        """
        if key in self._paid:
            return
        self._paid.add(key)
        cost = trace.cost
        if cost is None:
            if self.budget.max_cost is not None:
                raise ConfigError(
                    f"--max-cost cannot be kept: the price of {self.model.name!r} is not known; "
                    "give it, e.g. price = { input = 2.0, output = 8.0 } (USD per million tokens)"
                )
            return
        self.budget.spent += cost
        list_price = list_cost(trace, self.model)
        if list_price is not None:
            self._dearest = max(self._dearest or 0.0, list_price / max(1, size))

    def timed(self, rows: int, started: float) -> None:
        """Note that some rows were answered since `started` (of `time.perf_counter`)."""
        self._slowest = max(self._slowest, (time.perf_counter() - started) / max(1, rows))


def list_cost(trace: Trace, model: Model) -> float | None:
    """Return what an answer costs when nothing of it comes from a cache; None where that is not known."""
    price = getattr(model, "price", None)
    costs = [_list_cost(call, price if isinstance(price, Price) else None) for call in trace.calls]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _list_cost(call: Call, price: Price | None) -> float | None:
    if not call.cached:
        return call.cost
    return None if price is None else price.cost(call.tokens_in, call.tokens_out)
