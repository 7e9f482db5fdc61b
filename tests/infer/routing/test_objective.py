"""Objectives against brute force, and the multiplier against every threshold there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.infer.routing import AtLeast, AtMost, Trade
from pilotfish.infer.routing.objective import lambda_for

PAIR = st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.01, 0.1, 1.0]))
ROW = st.lists(PAIR, min_size=1, max_size=4)


@given(ROW, st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from([0.05, 0.5, 0.95]), st.sampled_from([0.005, 0.1, 2.0]))
def test_each_objective_is_its_definition(
    row: list[tuple[float, float]], price: float, least: float, most: float
) -> None:
    quality, cost = (np.array([column]) for column in zip(*row, strict=True))
    q, c = quality[0], cost[0]
    one = int(Trade(price).choose(quality, cost)[0])
    assert q[one] - price * c[one] == pytest.approx((q - price * c).max())
    assert all(c[one] <= c[i] for i in range(len(q)) if np.isclose(q[i] - price * c[i], (q - price * c).max()))
    one = int(AtLeast(least).choose(quality, cost)[0])
    enough = [i for i in range(len(q)) if q[i] >= least] or [i for i in range(len(q)) if q[i] == q.max()]
    assert one in enough
    assert c[one] == min(c[i] for i in enough)
    one = int(AtMost(most).choose(quality, cost)[0])
    within = [i for i in range(len(q)) if c[i] <= most] or [i for i in range(len(q)) if c[i] == c.min()]
    assert one in within
    assert q[one] == max(q[i] for i in within)


def test_quality_alone_needs_no_cost_and_the_others_say_so() -> None:
    quality, cost = np.array([[0.2, 0.8]]), np.array([[np.nan, np.nan]])
    assert Trade().choose(quality, cost)[0] == 1
    for objective in (Trade(1.0), AtLeast(0.5), AtMost(0.5)):
        with pytest.raises(DataError, match="knows no cost"):
            objective.choose(quality, cost)
    with pytest.raises(ConfigError, match="0 or more"):
        Trade(-1)


def test_the_multiplier_spends_the_budget_and_no_more() -> None:
    rng = np.random.default_rng(0)
    quality, cost = rng.random((500, 3)), np.tile([0.001, 0.01, 0.1], (500, 1)) * rng.uniform(0.5, 2, (500, 1))
    rows = np.arange(500)
    for budget in (0.002, 0.01, 0.03):
        price = lambda_for(quality, cost, cost, budget)
        spent = cost[rows, Trade(price).choose(quality, cost)].mean()
        assert spent <= budget
        less = Trade(price * 0.98).choose(quality, cost)
        assert cost[rows, less].mean() > spent or spent > budget * 0.97
    assert lambda_for(quality, cost, cost, 1.0) == 0.0
    with pytest.raises(DataError, match="the least is"):
        lambda_for(quality, cost, cost, 1e-6)
