"""The deferral curve against brute force over orders, closed forms, and the definitions read off by a fine grid."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.deferral import DeferralCurve, incremental_benefit, judge, oracle

ROW = st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0]))


def brute(score: list[float], weak: list[float], strong: list[float], calls: int) -> float:
    """Mean quality when `calls` requests go to the strong model, over every order that the scores allow."""
    qualities = []
    for order in itertools.permutations(range(len(score))):
        if all(score[a] >= score[b] for a, b in itertools.pairwise(order)):
            chosen = set(order[:calls])
            qualities.append(np.mean([strong[i] if i in chosen else weak[i] for i in range(len(score))]))
    return float(np.mean(qualities))


@given(st.lists(ROW, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_ties_are_in_random_order(rows: list[tuple[float, float, float]]) -> None:
    score, weak, strong = (list(column) for column in zip(*rows, strict=True))
    curve = DeferralCurve.of(score, weak, strong)
    for calls in range(len(rows) + 1):
        assert curve.quality_at(calls / len(rows)) == pytest.approx(brute(score, weak, strong, calls))


@given(st.lists(ROW, min_size=2, max_size=40), st.integers(0, 100).map(lambda percent: percent / 100))
def test_what_is_read_off_is_what_a_fine_grid_finds(rows: list[tuple[float, float, float]], wanted: float) -> None:
    score, weak, strong = (np.array(column) for column in zip(*rows, strict=True))
    curve = DeferralCurve.of(score, weak, strong)
    grid = np.linspace(0, 1, 2001)
    heights = np.array([curve.quality_at(share) for share in grid])
    assert curve.area == pytest.approx(float(heights.mean()), abs=2e-3)
    if curve.strong <= curve.weak:
        with pytest.raises(DataError, match="no gap to recover"):
            curve.share_for(wanted)
        return
    gap = curve.strong - curve.weak
    assert curve.mean_recovered == pytest.approx((curve.area - curve.weak) / gap)
    assert curve.recovered(0.3) == pytest.approx((curve.quality_at(0.3) - curve.weak) / gap)
    first = grid[np.flatnonzero(heights >= curve.weak + wanted * gap - 1e-12)[0]]
    assert curve.share_for(wanted) == pytest.approx(first, abs=1 / 1000)


@given(st.lists(ROW, min_size=2, max_size=7))
def test_no_order_beats_the_oracle(rows: list[tuple[float, float, float]]) -> None:
    score, weak, strong = (np.array(column) for column in zip(*rows, strict=True))
    best = DeferralCurve.of(oracle(weak, strong), weak, strong)
    curve = DeferralCurve.of(score, weak, strong)
    assert all(best.quality_at(share) >= curve.quality_at(share) - 1e-12 for share in np.linspace(0, 1, 15))


def test_the_first_crossing_counts_where_the_curve_falls_again() -> None:
    # Rises to the whole gap at 1/4, falls below at 1/2, and comes back at the end.
    curve = DeferralCurve.of([4, 3, 2, 1], [0, 1, 0, 0], [1, 0, 0, 1])
    assert curve.qualities.tolist() == [0.25, 0.5, 0.25, 0.25, 0.5]
    assert curve.share_for(1.0) == pytest.approx(0.25)
    assert curve.share_for(0.5) == pytest.approx(0.125)
    assert curve.share_for(0.0) == 0.0


def test_a_constant_score_is_random_and_infinite_ones_are_in_order() -> None:
    weak, strong = np.zeros(10), np.array([1.0] * 5 + [0.0] * 5)
    assert DeferralCurve.of(np.ones(10), weak, strong).mean_recovered == pytest.approx(0.5)
    assert DeferralCurve.of([math.inf] * 5 + [-math.inf] * 5, weak, strong).share_for(1.0) == 0.5
    assert DeferralCurve.of([math.inf] * 10, weak, strong).mean_recovered == pytest.approx(0.5)


def test_incremental_benefit_is_automix_s() -> None:
    # Half of the gap for a quarter of the extra cost: twice the quality a unit of cost, so 100% more.
    assert incremental_benefit((1.0, 0.5), (5.0, 0.9), (2.0, 0.7)) == pytest.approx(1.0)
    assert incremental_benefit((1.0, 0.5), (5.0, 0.9), (3.0, 0.7)) == pytest.approx(0.0)
    with pytest.raises(DataError, match="dearer and better"):
        incremental_benefit((1.0, 0.9), (5.0, 0.9), (2.0, 0.7))


def test_bad_columns_are_told() -> None:
    with pytest.raises(DataError, match="three columns of as many rows"):
        DeferralCurve.of([1, 2], [0], [1])
    with pytest.raises(DataError, match="finite qualities"):
        DeferralCurve.of([math.nan, 1], [0, 0], [1, 1])
    with pytest.raises(DataError, match="between 0 and 1"):
        DeferralCurve.of([1, 2], [0, 0], [1, 1]).share_for(1.2)


def test_a_score_stands_beside_random_length_and_oracle() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(400)
    weak, strong = (rng.random(400) > hard).astype(float), (rng.random(400) > hard / 3).astype(float)
    lengths = hard * 100 + rng.normal(0, 60, 400)
    table = {one.name: one for one in judge({"knows": hard}, weak, strong, lengths, groups=np.arange(400) // 4)}
    assert list(table) == ["random", "prompt length", "knows", "oracle"]
    assert table["random"].apgr.value == pytest.approx(0.5)
    assert table["random"].apgr.width < 1e-9
    assert table["prompt length"].over_length is None
    assert 0.5 < table["prompt length"].apgr.value < table["knows"].apgr.value < table["oracle"].apgr.value
    over = table["knows"].over_length
    assert over is not None
    assert over.value == pytest.approx(table["knows"].apgr.value - table["prompt length"].apgr.value)
    assert over.low > 0
    assert table["knows"].cpt50.value < table["knows"].cpt80.value
    assert table["knows"].apgr.n == 100  # groups
    assert table["knows"].to_json()["over_length"]["value"] == over.value
