"""The most that calls may take together: in number, tokens or dollars; what is under way counts as spent."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.model import Price, Request
from pilotfish.rows.asking import Bill

__all__ = ["Budget", "Purse"]


@dataclass(frozen=True)
class Budget:
    """Limits on all calls of a store, those of earlier sessions included; None for no limit.

    Attributes:
        calls: model calls.
        tokens: prompts and answers together.
        dollars: US dollars.
    """

    calls: int | None = None
    tokens: int | None = None
    dollars: float | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "dollars"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"a budget's {name} must be above 0, not {value}")


class Purse:
    """Lets calls through as long as the budget holds, were every call under way as dear as the dearest so far.

    Args:
        budget: the limits.
        spent: what has been taken already.
    """

    def __init__(self, budget: Budget, spent: Bill) -> None:
        self.budget, self.bill = budget, spent
        self._under_way = 0
        # A mean is all that is known of calls before; one that had none lets a single call through first.
        self._tokens = (spent.tokens_in + spent.tokens_out) / spent.calls if spent.calls else None
        self._dollars = spent.cost / spent.calls if spent.calls and spent.cost is not None else None
        self._bounds: tuple[float | None, float | None] = (None, None)

    def expect(self, request: Request, price: Price | None) -> None:
        """Note the most that a request can take, which is what is gone by until a call has told.

        A token is a byte at least, so a prompt has no more tokens than bytes; without `max_tokens` nothing is known.
        """
        if request.max_tokens is None:
            return
        tokens_in = _bytes(request)
        tokens = tokens_in + request.max_tokens
        dollars = None if price is None else price.cost(tokens_in, request.max_tokens)
        self._bounds = (max(self._bounds[0] or 0.0, tokens), _larger(self._bounds[1], dollars))

    @property
    def allows(self) -> bool:
        """Whether another call may begin now."""
        ahead = self._under_way + 1
        budget = self.budget
        if budget.calls is not None and self.bill.calls + ahead > budget.calls:
            return False
        tokens = self.bill.tokens_in + self.bill.tokens_out
        most_tokens, most_dollars = self._bounds
        if not _holds(budget.tokens, tokens, self._tokens, most_tokens, ahead):
            return False
        return _holds(budget.dollars, self.bill.cost or 0.0, self._dollars, most_dollars, ahead)

    @property
    def waits(self) -> bool:
        """Whether calls that are under way may yet make room: what they take is not known before."""
        return self._under_way > 0

    def begin(self) -> None:
        """Note that a call begins."""
        self._under_way += 1

    def end(self, bill: Bill | None) -> None:
        """Note that a call has ended, and what it took; None where it failed.

        Raises:
            ConfigError: there is a limit in dollars, and the call's price is not known.
        """
        self._under_way -= 1
        if bill is None:
            return
        self.bill += bill
        self._tokens = max(self._tokens or 0.0, bill.tokens_in + bill.tokens_out)
        if bill.cost is not None:
            self._dollars = max(self._dollars or 0.0, bill.cost)
        elif self.budget.dollars is not None:
            raise ConfigError(
                "the budget in dollars cannot be kept: the price of the model is not known; give it, e.g. "
                "price = { input = 2.0, output = 8.0 } (USD per million tokens)"
            )


def _holds(limit: float | None, spent: float, dearest: float | None, most: float | None, ahead: int) -> bool:
    if limit is None:
        return True
    if dearest is None:  # no call has told yet: as many as hold at the most each can take, or else one alone
        return (ahead == 1 and spent < limit) or (most is not None and spent + ahead * most <= limit)
    return spent + ahead * dearest <= limit


def _bytes(request: Request) -> int:
    # A few tokens a message are the template's.
    return len(json.dumps(request.to_json(), ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _larger(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)
