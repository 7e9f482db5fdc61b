"""The review of a cascade: its figures against the arithmetic done by hand, and what it says where there is no gap."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from pilotfish.infer.review import review
from tests.infer.trials import made


def test_figures_are_those_done_by_hand() -> None:
    trials = made(1500, knows=2.0)
    outcome = trials.cascaded()
    found = review("assistant", trials, outcome)
    trusted = trials.accepted[:, 0]
    quality = np.where(trusted, trials.grades[:, 0], trials.grades[:, 1])
    cost = trials.costs[:, 0] + np.where(trusted, 0, trials.costs[:, 1])
    assert found.whole.quality.value == pytest.approx(quality.mean())
    assert found.whole.cost == pytest.approx(cost.mean() * 1000)
    assert [line.share for line in found.models] == [pytest.approx(trusted.mean()), pytest.approx(1 - trusted.mean())]
    assert found.over_best.value == pytest.approx(quality.mean() - trials.grades[:, 1].mean())
    assert found.saved == pytest.approx(1 - cost.mean() / trials.costs[:, 1].mean())
    small, large = trials.grades.mean(axis=0)
    cheap, dear = trials.costs.mean(axis=0)
    mixed = small + (cost.mean() - cheap) / (dear - cheap) * (large - small)
    assert found.over_mixing == pytest.approx(quality.mean() - mixed)
    slope = (quality.mean() - small) / (cost.mean() - cheap) / ((large - small) / (dear - cheap))
    assert found.benefit == pytest.approx(slope - 1)
    assert [one.name for one in found.scores] == ["random", "prompt length", "its score", "oracle"]
    apgr = {one.name: one.apgr.value for one in found.scores}
    assert 0.5 < apgr["its score"] < apgr["oracle"]
    assert [*found.curve[0], *found.curve[-1]] == pytest.approx([0.0, small, 1.0, large])
    assert found.aiq is not None
    assert found.aiq[1] == pytest.approx((small + large) / 2)
    assert found.aiq[0] > found.aiq[1] + 0.02
    assert found.to_json()["aiq"]["thresholds"] == found.aiq[0]
    assert any("incremental benefit" in line for line in found.lines())


def test_groups_widen_and_a_route_s_score_is_judged_too() -> None:
    trials = made(600)
    routed = replace(
        trials, scores=trials.scores[:, :0], judging=trials.judging[:, :0], accepted=trials.accepted[:, :0]
    )
    need = -trials.scores[:, 0]
    outcome = routed.chosen((need > 0).astype(np.int64))
    found = review("route", routed, outcome, {"the router": need}, groups=[i // 3 for i in range(600)])
    assert found.whole.quality.n == 200
    assert found.aiq is None
    assert "the router" in {one.name for one in found.scores}


def test_where_the_last_model_is_no_better_it_says_so() -> None:
    trials = made(200, weak=0.8, strong=0.8)
    found = review("assistant", trials, trials.cascaded())
    assert found.scores == ()
    assert "no gap to recover" in found.lines()[-1]
    assert found.benefit is None


def test_without_prices_calls_are_counted() -> None:
    trials = made(400)
    found = review("assistant", replace(trials, costs=trials.costs * 0), trials.cascaded())
    assert found.unit == "calls a 1,000"
    assert found.whole.cost == pytest.approx(1000 * found.models[1].share)
    assert found.saved == pytest.approx(found.models[0].share)


def test_a_terminal_shows_it() -> None:
    from rich.console import Console

    trials = made(300)
    console = Console(record=True, width=120, file=io.StringIO())
    for part in review("assistant", trials, trials.cascaded()).shown():
        console.print(part)
    text = console.export_text()
    assert "assistant, 300 rows" in text
    assert "its score" in text
