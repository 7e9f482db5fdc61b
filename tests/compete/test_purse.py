from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.purse import Purse, list_cost
from pilotfish.compete.watch import Budget
from pilotfish.errors import ConfigError
from pilotfish.model import Call, Price, Trace, WholeReplies


@dataclass
class Big(WholeReplies):
    name: str = "big"
    price: Price | None = None


def paid(cost: float | None, *, cached: bool = False) -> Trace:
    return Trace((Call("big", tokens_in=1000, tokens_out=0, cost=cost, cached=cached),))


@given(st.floats(0.01, 5), st.lists(st.tuples(st.integers(10, 900), st.floats(0.8, 1.2)), min_size=1, max_size=80))
def test_the_budget_is_never_overdrawn_where_prices_a_character_vary_by_a_quarter(
    limit: float, rows: list[tuple[int, float]]
) -> None:
    """The first answer is the only one let through blindly."""
    budget = Budget(max_cost=limit)
    purse = Purse(Big(), budget)
    rate = 1e-3
    at, first = 0, 0.0
    while at < len(rows):
        allowed = purse.allowed([size for size, _ in rows[at : at + 32]])
        if not allowed:
            break
        for i in range(at, at + allowed):
            size, factor = rows[i]
            # Dearest / cheapest is at most 1.2 / 0.96 = CARE.
            cost = rate * size * max(0.96, factor)
            first = first or cost
            purse.pay(str(i), size, paid(cost))
        at += allowed
    assert budget.spent <= max(limit, first) + 1e-9


def test_without_limits_everything_is_allowed_and_still_counted() -> None:
    budget = Budget()
    purse = Purse(Big(), budget)
    assert purse.allowed([10] * 32) == 32
    purse.pay("a", 10, paid(0.5))
    purse.pay("a", 10, paid(0.5))
    purse.pay("b", 10, paid(None))
    assert budget.spent == 0.5


def test_nothing_is_asked_for_nothing() -> None:
    assert Purse(Big(), Budget(max_cost=0.0)).allowed([10]) == 0


def test_a_free_model_may_answer_all_under_any_limit() -> None:
    purse = Purse(Big(), Budget(max_cost=0.01))
    assert purse.allowed([10] * 32) == 1
    purse.pay("a", 10, paid(0.0))
    assert purse.allowed([10] * 32) == 32


def test_an_unknown_price_with_a_limit_in_dollars_is_an_error_that_says_what_to_add() -> None:
    with pytest.raises(ConfigError, match="price = "):
        Purse(Big(), Budget(max_cost=1.0)).pay("a", 10, paid(None))


def test_answers_out_of_a_cache_cost_nothing_now_and_their_list_price_later() -> None:
    cached, fresh = paid(0.0, cached=True), paid(0.25)
    assert list_cost(fresh, Big()) == 0.25
    assert list_cost(cached, Big(price=Price(2.0, 8.0))) == pytest.approx(0.002)
    assert list_cost(cached, Big()) is None
    assert list_cost(cached + fresh, Big()) is None
    budget = Budget(max_cost=0.01)
    purse = Purse(Big(price=Price(2.0, 8.0)), budget)
    purse.pay("a", 100, cached)
    assert budget.spent == 0
    # A row of that size costs 0.002, and a quarter more for care: four fit.
    assert purse.allowed([100] * 32) == 4


def test_cached_answers_of_unknown_price_are_no_reason_to_ask_many_at_once() -> None:
    purse = Purse(Big(), Budget(max_cost=0.01))
    purse.pay("a", 100, paid(0.0, cached=True))
    assert purse.allowed([100] * 32) == 1


def test_time_ends_the_asking_too() -> None:
    now = time.perf_counter()
    purse = Purse(Big(), Budget(max_seconds=100, started=now))
    assert purse.allowed([10] * 32) == 8  # to learn the speed
    purse.timed(4, now - 40)  # ten seconds a row
    assert purse.allowed([10] * 32) == 9
    assert Purse(Big(), Budget(max_seconds=5, started=now - 6)).allowed([10]) == 0
