from __future__ import annotations

import io
import time

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pilotfish.compete.plan import MIN_TEST, Sizes, afforded, extended, lanes, rate
from pilotfish.compete.watch import Budget, Watch
from pilotfish.model import Call, Trace
from pilotfish.models.classify import Labeller, Labels
from tests.fakes import ScriptedModel

WANTED = Sizes(500, 300, 400, 64)


def cost(sizes: Sizes, rates: list[tuple[float, float]], which: int) -> float:
    both = sum(one[which] for one in rates)
    return (sizes.test + 2 * sizes.ways) * both + (sizes.calibrate + sizes.unlabelled) * max(r[which] for r in rates)


@given(
    st.floats(0, 4000),
    st.floats(0, 20),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 0.02)), min_size=1, max_size=2),
)
def test_a_plan_keeps_to_both_budgets_or_there_is_none(
    seconds: float, dollars: float, rates: list[tuple[float, float]]
) -> None:
    budget = Budget(max_seconds=seconds, max_cost=dollars, started=time.perf_counter())
    plan = afforded(WANTED, rates, budget, Watch())
    if plan is None:
        least = Sizes(MIN_TEST, 0, 0, 16)
        assert cost(least, rates, 0) > 0.79 * seconds - 1 or cost(least, rates, 1) > dollars
        return
    assert cost(plan, rates, 0) <= 0.8 * seconds + 1e-9
    assert cost(plan, rates, 1) <= dollars + 1e-9
    assert MIN_TEST <= plan.test <= WANTED.test


def test_without_limits_all_is_asked() -> None:
    assert afforded(WANTED, [(9.0, 1.0), (9.0, 1.0)], Budget(), Watch()) == WANTED


def test_held_out_rows_come_first_and_the_cut_is_said() -> None:
    shown = io.StringIO()
    watch = Watch(Console(file=shown, width=200))
    plan = afforded(WANTED, [(0.0, 0.001)], Budget(max_cost=0.3), watch)
    assert plan is not None
    assert plan.test >= 100
    assert 0 < plan.calibrate < 150
    assert "pays for" in shown.getvalue()
    assert afforded(WANTED, [(0.0, 0.001)], Budget(max_cost=0.04), watch) is None
    assert "left out" in shown.getvalue()


def test_a_way_of_asking_that_could_not_be_timed_is_not_planned_for() -> None:
    assert afforded(WANTED, [(0.1, 0.0), None], Budget(), Watch()) is None


def test_rates_are_of_rows_answered_side_by_side() -> None:
    labeller = Labeller(ScriptedModel(), ["a", "b"], concurrency=4)
    traces = [Trace((Call("m", seconds=2.0, cost=0.5),)), Trace((Call("m", seconds=6.0, cost=None),))]
    found = Labels(["a", "b"], None, traces, [False, False])
    assert lanes(labeller) == 4
    assert rate(found, labeller) == (1.0, 0.25)
    assert rate(Labels([], None, [], []), labeller) is None


def test_a_wrong_first_guess_of_the_speed_is_made_good() -> None:
    wanted = Sizes(200, 60, 300, 64)
    budget = Budget(100.0)
    slow = afforded(wanted, [(0.5, 0.0), (0.5, 0.0)], budget, Watch())
    assert slow is not None and slow.test < 60
    grown = extended(slow, wanted, [(0.02, 0.0), (0.02, 0.0)], budget, Watch())
    assert grown == wanted
    assert extended(wanted, wanted, [(0.02, 0.0)], budget, Watch()) is None


def test_no_round_is_added_for_little_or_without_money() -> None:
    wanted = Sizes(100, 10, 10, 16)
    assert extended(Sizes(90, 9, 9, 16), wanted, [(0.001, 0.0)], Budget(100.0), Watch()) is None
    assert extended(Sizes(30, 1, 1, 16), wanted, [(0.0, 1.0)], Budget(None, 0.5), Watch()) is None


def test_a_moment_of_business_does_not_tell_the_speed() -> None:
    traces = [Trace((Call("m", seconds=s),)) for s in (0.05, 0.05, 0.05, 3.0, 0.05)]
    found = Labels(["a"] * 5, None, traces, [False] * 5)
    got = rate(found, Labeller(ScriptedModel("a"), ["a", "b"], concurrency=1))
    assert got is not None and got[0] == 0.05
