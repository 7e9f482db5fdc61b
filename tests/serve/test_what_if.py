"""What another threshold would have done, from logged rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish import ask
from pilotfish.errors import DataError
from pilotfish.infer import Above, Cascade
from pilotfish.model import Price, Request
from pilotfish.serve.log import DecisionLog
from pilotfish.serve.record import Served
from pilotfish.serve.what_if import Traffic, cascades_in
from tests.fakes import ScriptedModel


def row(score: float, deferred: bool, **changes: Any) -> dict[str, Any]:
    """A logged request: 10 tokens at the small model for $0.001, and at the large one $0.02."""
    calls = [{"model": "small", "role": "model", "tokens_in": 8, "tokens_out": 2, "cost": 0.001}]
    if deferred:
        calls.append({"model": "large", "role": "model", "tokens_in": 8, "tokens_out": 4, "cost": 0.02})
    settings: dict[str, Any] = {
        "status": 200,
        "cached": False,
        "calls": calls,
        "decisions": [{"model": "assistant", "verdict": "deferred" if deferred else "accepted", "score": score}],
        "answered_by": calls[-1]["model"],
        "quality": {},
    }
    return {**settings, **changes}


ROWS = [row(-2.0, True), row(-1.5, True), row(-0.6, False), row(-0.1, False)]


def test_what_was_done_and_what_would_have_been() -> None:
    traffic = Traffic.of(ROWS, "assistant")
    assert traffic.threshold == pytest.approx(-1.05)
    now = traffic.now
    assert (now.deferred, now.estimated) == (0.5, 0)
    assert now.cost == pytest.approx(4 * 0.001 + 2 * 0.02)
    assert now.saved == pytest.approx(4 * 0.02 - (4 * 0.001 + 2 * 0.02))
    more = traffic.at(-0.5)
    assert (more.deferred, more.estimated) == (0.75, 0.25)
    assert more.cost == pytest.approx(4 * 0.001 + 3 * 0.02)
    none = traffic.at(-9)
    assert none.deferred == 0
    assert none.cost == pytest.approx(0.004)


def test_the_curve_goes_from_nothing_to_everything() -> None:
    curve = Traffic.of(ROWS, "assistant").curve()
    assert [point.deferred for point in curve] == [0, 0.25, 0.5, 0.75, 1]
    costs = [point.cost or 0 for point in curve]
    assert costs == sorted(costs)


def test_qualities_where_they_were_rated() -> None:
    rows = [
        row(-2.0, True, quality={"small": 0.0, "large": 1.0}),
        row(-1.0, True, quality={"large": 0.5}),
        row(-0.2, False, quality={"small": 1.0}),
        row(-0.1, False),
    ]
    traffic = Traffic.of(rows, "assistant")
    now = traffic.now
    assert now.quality == pytest.approx(2.5 / 3)
    assert now.rated == 0.75
    none = traffic.at(-9)
    assert (none.quality, none.rated) == (0.5, 0.5)
    assert traffic.at(9).quality == 0.75


def test_costs_nobody_knows_are_not_made_up() -> None:
    assert Traffic.of([row(-0.1, False), row(-0.2, False)], "assistant").at(-0.15).cost is None
    unpriced = [{"model": "small", "role": "model", "tokens_in": 8, "tokens_out": 2, "cost": None}]
    traffic = Traffic.of([*ROWS, row(-0.3, False, calls=unpriced)], "assistant")
    assert traffic.now.cost is None
    assert traffic.now.deferred == 0.4


def test_rows_that_tell_nothing_are_left_out() -> None:
    others = [
        row(-3.0, True, cached=True),
        row(-3.0, True, status=499),
        row(-3.0, True, decisions=[{"model": "assistant", "verdict": "deferred", "score": None}]),
        row(-3.0, True, decisions=[{"model": "route", "verdict": "chose large", "score": 0.4}]),
    ]
    assert len(Traffic.of([*ROWS, *others], "assistant")) == 4
    assert cascades_in([*ROWS, *others]) == ["assistant"]
    with pytest.raises(DataError, match="route"):
        Traffic.of(others, "route")


def test_a_threshold_that_changed_is_no_threshold() -> None:
    traffic = Traffic.of([*ROWS, row(-1.9, False)], "assistant")
    assert traffic.threshold is None
    assert math.isnan(traffic.now.threshold)


@given(st.lists(st.floats(-5, 0), min_size=1, max_size=60), st.floats(-5, 0))
def test_the_threshold_in_force_gives_what_was_done(scores: list[float], threshold: float) -> None:
    traffic = Traffic.of([row(score, score < threshold) for score in scores], "assistant")
    again, now = traffic.at(threshold), traffic.now
    assert again.deferred == now.deferred == np.mean([score < threshold for score in scores])
    if again.deferred:
        assert again.cost == pytest.approx(now.cost)
        assert again.estimated == 0


def test_a_real_cascade_through_a_real_log(tmp_path: Path) -> None:
    """The costs told for other thresholds are those that a cascade with that threshold does have."""
    sure = {f"q{i}": -i / 10 for i in range(20)}

    def cascade(threshold: float) -> Cascade:
        small = ScriptedModel("yes", name="small", logprob=lambda r, _: sure[r.prompt], price=Price(1e3, 1e3))
        large = ScriptedModel("no", name="large", price=Price(1e5, 1e5))
        return Cascade(small, large, Above("mean-logprob", threshold), "assistant")

    log = DecisionLog(tmp_path / "log.sqlite", every=0.01)
    for number, prompt in enumerate(sure):
        reply = ask(cascade(-0.55), prompt)
        log.put(Served(f"{number}", number, "", "assistant", Request.of(prompt), reply))
    log.flush()
    traffic = Traffic.of(log.rows(), "assistant")
    log.close()
    for threshold in (-5.0, -1.25, -0.55, -0.05, 1.0):
        told = traffic.at(threshold)
        replies = [ask(cascade(threshold), prompt) for prompt in sure]
        assert told.cost == pytest.approx(sum(reply.cost or 0 for reply in replies))
        assert told.deferred == np.mean([reply.text == "no" for reply in replies])
