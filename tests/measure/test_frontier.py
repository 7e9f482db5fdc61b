from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.frontier import Frontier, Mix, Point
from pilotfish.measure.intervals import Interval


def point(name: str, cost: float, quality: float) -> Point:
    return Point(name, cost, Interval(quality, quality - 0.01, quality + 0.01))


SMALL, LARGE, BAD = point("small", 1, 0.6), point("large", 11, 0.9), point("bad", 12, 0.5)
CASCADE = point("cascade", 4, 0.85)

clouds = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: (float(pair[0]), pair[1] / 8)),
    min_size=1,
    max_size=9,
).map(lambda pairs: Frontier([point(f"p{i}", cost, quality) for i, (cost, quality) in enumerate(pairs)]))


def test_optimal_leaves_the_dominated_out() -> None:
    frontier = Frontier([BAD, LARGE, SMALL])
    assert frontier.optimal == (SMALL, LARGE)
    assert frontier["bad"] is BAD
    with pytest.raises(DataError, match="'worse'"):
        frontier["worse"]


def test_mixing_lies_on_the_line() -> None:
    frontier = Frontier([SMALL, LARGE])
    mix = frontier.at_cost(6)
    assert mix == Mix(SMALL, LARGE, 0.5)
    assert mix is not None and mix.cost == pytest.approx(6) and mix.quality == pytest.approx(0.75)
    assert str(mix) == "50% small + 50% large"
    cheaper = frontier.at_quality(0.75)
    assert cheaper is not None and cheaper.cost == pytest.approx(6)
    assert frontier.at_cost(0.5) is None and frontier.at_quality(0.95) is None
    assert frontier.at_cost(100) == Mix(LARGE, LARGE, 0.0)
    assert frontier.at_quality(0.1) == Mix(SMALL, SMALL, 0.0)
    assert frontier.at_quality(0.9) == Mix(LARGE, LARGE, 0.0)


def test_a_cascade_is_judged_against_mixing_the_others() -> None:
    frontier = Frontier([SMALL, LARGE, CASCADE])
    assert frontier.above_mixing("cascade") == pytest.approx(0.85 - 0.69)
    assert frontier.above_mixing("small") is None
    assert frontier.hull == (SMALL, CASCADE, LARGE)
    assert Frontier([SMALL, LARGE, point("router", 6, 0.7)]).above_mixing("router") == pytest.approx(-0.05)
    assert Frontier([SMALL]).above_mixing("small") is None


def test_ties_stay_on_the_frontier_but_once_on_the_hull() -> None:
    twin = point("twin", 1, 0.6)
    frontier = Frontier([SMALL, twin, LARGE, point("dearer", 12, 0.9), point("weaker", 1, 0.5)])
    assert {each.name for each in frontier.optimal} == {"small", "twin", "large"}
    assert len(frontier.hull) == 2
    assert frontier.at_cost(1) is not None


def test_area_is_the_mean_quality() -> None:
    assert Frontier([SMALL, LARGE]).area() == pytest.approx(0.75)
    assert Frontier([SMALL, LARGE]).area(1, 21) == pytest.approx((0.75 + 0.9) / 2)
    assert Frontier([SMALL]).area() == pytest.approx(0.6)
    assert Frontier([SMALL, LARGE, CASCADE]).area() > Frontier([SMALL, LARGE]).area()
    with pytest.raises(DataError, match="cheapest is 1"):
        Frontier([SMALL]).area(0.5, 2)


@given(clouds)
def test_the_pareto_set_is_that_of_brute_force(frontier: Frontier) -> None:
    def dominated(a: Point) -> bool:
        return any(
            b.cost <= a.cost
            and b.quality.value >= a.quality.value
            and (b.cost < a.cost or b.quality.value > a.quality.value)
            for b in frontier.points
        )

    assert {p.name for p in frontier.optimal} == {p.name for p in frontier.points if not dominated(p)}


@given(clouds, st.floats(0, 10))
def test_no_pair_of_points_mixes_to_more_than_the_hull(frontier: Frontier, cost: float) -> None:
    best = max((p.quality.value for p in frontier.points if p.cost <= cost), default=None)
    for a in frontier.points:
        for b in frontier.points:
            if a.cost <= cost < b.cost:
                mixed = Mix(a, b, (cost - a.cost) / (b.cost - a.cost)).quality
                best = mixed if best is None else max(best, mixed)
    mix = frontier.at_cost(cost)
    assert (mix is None) == (best is None)
    if mix is not None and best is not None:
        assert mix.quality == pytest.approx(best)
        assert mix.cost <= cost + 1e-9
        back = frontier.at_quality(mix.quality - 1e-9)
        assert back is not None and back.cost <= mix.cost + 1e-9


@given(clouds)
def test_the_hull_rises_ever_less_steeply(frontier: Frontier) -> None:
    costs = np.array([p.cost for p in frontier.hull])
    heights = np.array([p.quality.value for p in frontier.hull])
    slopes = np.diff(heights) / np.diff(costs)
    assert (slopes > 0).all() and (np.diff(slopes) < 0).all()


def test_json_and_bad_input() -> None:
    data = Frontier([SMALL, LARGE, BAD], unit="USD").to_json()
    assert data["optimal"] == data["hull"] == ["small", "large"]
    assert data["points"][2]["quality"]["value"] == 0.5
    for points, says in (([], "at least one"), ([SMALL, SMALL], "two points")):
        with pytest.raises(DataError, match=says):
            Frontier(points)
    for cost in (-1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="finite cost"):
            point("x", cost, 0.5)
