"""Agreement with people: by definition over all pairs, by level, paired, and on yes and no the area under the curve."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, pearsonr, spearmanr

from pilotfish.errors import DataError
from pilotfish.evaluate.meta import agreements, meta
from pilotfish.measure.curve import area

few = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12)


@settings(deadline=None, max_examples=60)
@given(few)
def test_it_is_what_the_definitions_say(rows: list[tuple[int, int]]) -> None:
    x, y = np.array(rows, float).T
    found = agreements(x, y)
    if np.ptp(y) == 0:
        assert np.isnan(found).all()
        return
    if np.ptp(x) == 0:
        assert found.tolist() == [0, 0, 0, 0.5]
        return
    told = [(x[i] - x[j], y[i] - y[j]) for i, j in combinations(range(len(x)), 2) if y[i] != y[j]]
    pairwise = np.mean([0.5 if a == 0 else float(a * b > 0) for a, b in told])
    wanted = [pearsonr(x, y).statistic, spearmanr(x, y).statistic, kendalltau(x, y).statistic, pairwise]
    assert found == pytest.approx(wanted, abs=1e-12)


def test_of_yes_and_no_pairwise_accuracy_is_the_area_under_the_curve() -> None:
    dice = np.random.default_rng(0)
    right = dice.random(200) < 0.3
    scores = np.round(right + dice.normal(size=200), 1)
    assert agreements(scores, right)[3] == pytest.approx(area(scores, right))


def table(seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Sixty articles by six systems: people, what sees them through noise, and what sees the article only."""
    dice = np.random.default_rng(seed)
    items, systems = np.repeat(np.arange(60), 6), np.tile(np.arange(6), 60)
    article = dice.normal(size=60)[items]
    people = systems * 0.3 + article + dice.normal(size=360)
    seen = people - article + dice.normal(size=360)
    return people, {"noisy": seen, "article": article + 0.01 * dice.normal(size=360)}, items, systems


def test_levels_tell_what_each_of_them_is_for() -> None:
    people, metrics, items, systems = table()
    found = meta(people, metrics, items=items, systems=systems, resamples=300)
    assert found.levels == ("segment", "item", "system")
    # What sees the article alone agrees over all rows and not within one.
    assert found.of("article").pearson.low > 0.4
    assert found.of("article", "item").pearson.contains(0) and found.of("noisy", "item").pearson.low > 0.5
    within = [agreements(metrics["noisy"][items == one], people[items == one]) for one in range(60)]
    assert found.of("noisy", "item").kendall.value == pytest.approx(np.mean([one[2] for one in within]))
    assert found.of("noisy", "item").units == 60
    means = [[column[systems == one].mean() for one in range(6)] for column in (metrics["noisy"], people)]
    assert found.of("noisy", "system").pearson.value == pytest.approx(pearsonr(*means).statistic)
    assert found.of("noisy", "system").pearson.value > 0.9 and found.of("noisy", "system").units == 6
    assert [one.metric for one in found][2:4] == ["noisy", "article"]  # within items the better one comes first
    assert set(found.to_json()["agreements"][0]) == {
        "metric", "level", "units", "pearson", "spearman", "kendall", "pairwise",
    }  # fmt: skip


def test_pairs_of_metrics_are_compared_over_the_same_draws() -> None:
    people, metrics, items, _ = table()
    worse = metrics["noisy"] + 0.3 * np.random.default_rng(1).normal(size=360)
    found = meta(people, {**metrics, "worse": worse}, items=items, resamples=300)
    both = found.above("noisy", "worse")
    apart = found.of("noisy").pearson.width + found.of("worse").pearson.width
    assert both.value == pytest.approx(found.of("noisy").pearson.value - found.of("worse").pearson.value)
    assert both.low > 0 and both.width < apart / 3
    with pytest.raises(DataError, match="did you mean 'noisy'"):
        found.above("nosy", "worse")
    with pytest.raises(DataError, match="statistic"):
        found.above("noisy", "worse", "cosine")
    with pytest.raises(DataError, match="system: rows have no systems"):
        found.of("noisy", "system")


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = 0
    for seed in range(120):
        dice = np.random.default_rng(seed)
        x = dice.normal(size=100)
        y = 0.6 * x + 0.8 * dice.normal(size=100)
        held += meta(y, {"x": x}, resamples=200, seed=seed).of("x").pearson.contains(0.6)
    assert held >= 0.88 * 120


def test_rows_of_one_item_are_drawn_together() -> None:
    dice = np.random.default_rng(3)
    x = np.repeat(dice.normal(size=40), 20)
    y = np.repeat(dice.normal(size=40), 20) + x
    alone = meta(y, {"x": x}, resamples=300).of("x").pearson
    together = meta(y, {"x": x}, items=np.repeat(np.arange(40), 20), resamples=300).of("x").pearson
    assert together.width > 3 * alone.width
    assert "40 items" in together.method


def test_what_people_tell_nothing_of_is_left_out_and_said() -> None:
    people, metrics, items, systems = table()
    people[items < 50] = 3.0
    found = meta(people, metrics, items=items, systems=systems, resamples=100)
    assert any("50 of 60 left out" in note for note in found.notes) and found.of("noisy", "item").units == 10
    two = meta(people, metrics, items=items, systems=np.minimum(systems, 1), resamples=100)
    assert any("2 systems are too few" in note for note in two.notes) and "system" not in two.levels


def test_what_cannot_be_told_is_refused() -> None:
    for people, metrics, why in (
        ([1, 2, 3], {"x": [1, 2]}, "of 3 rows"),
        ([1, 2, np.nan], {"x": [1, 2, 3]}, "row 3"),
        ([1, 1, 1], {"x": [1, 2, 3]}, "all alike"),
        ([1, 2], {"x": [1, 2]}, "three rows"),
    ):
        with pytest.raises(DataError, match=why):
            meta(people, metrics)
    with pytest.raises(DataError, match="items"):
        meta([1, 2, 3], {"x": [1, 2, 3]}, items=[1])
