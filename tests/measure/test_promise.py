"""Promises: the test's own error rate by simulation at the border, brute force over a tiny world, and its power."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.promise import evidence, last_kept, normal_evidence

RISK = 0.1


def rare_losses(rng: np.random.Generator, rows: int, share: float) -> NDArray[np.float64]:
    """What a promise of 97% looks like: a little won on every row, nearly all of it lost on a few."""
    return np.where(rng.random(rows) < share, -0.97, 0.03)


@pytest.mark.parametrize("rows", [30, 200, 1000])
def test_a_promise_that_just_fails_is_seldom_taken_for_kept(rows: int) -> None:
    rng = np.random.default_rng(rows)
    found = [evidence(rare_losses(rng, rows, 0.03), -0.97, 1.0) >= 1 / RISK for _ in range(1500)]
    assert np.mean(found) <= RISK + 2.6 * math.sqrt(RISK * (1 - RISK) / 1500)


def test_every_way_that_few_rows_can_fall_is_within_the_risk() -> None:
    # Values -1, 0 and 2 of mean 0: the exact probability of reaching 1 / risk, for every risk there is.
    values, chances = (-1.0, 0.0, 2.0), (0.5, 0.25, 0.25)
    reached = []
    for way in itertools.product(range(3), repeat=7):
        reached.append((evidence([values[i] for i in way], -1.0, 2.0), math.prod(chances[i] for i in way)))
    reached.sort(reverse=True)
    total = 0.0
    for found, chance in reached:
        total += chance
        assert found <= 1 / total * (1 + 1e-9) or found <= 1.0 + 1e-9


def test_a_promise_for_the_next_rows_counts_their_own_chance() -> None:
    # A finite world dealt into rows seen and rows to come, whose sum is exactly 0: the worst that breaks the promise.
    rng = np.random.default_rng(0)
    wrong = kept = 0
    for _ in range(1500):
        world = rare_losses(rng, 260, 0.02)
        found = evidence(world[:200], -0.97, 1.0, horizon=60) >= 1 / RISK
        wrong += found and world[200:].mean() <= 0
        kept += found
    assert wrong / 1500 <= RISK
    long = np.mean([evidence(rare_losses(rng, 1000, 0.01), -0.97, 1.0, horizon=1000) >= 10 for _ in range(200)])
    short = np.mean([evidence(rare_losses(rng, 1000, 0.01), -0.97, 1.0, horizon=50) >= 10 for _ in range(200)])
    assert long > short  # fifty rows may all go wrong by chance


def test_what_holds_by_far_is_found_to_hold() -> None:
    rng = np.random.default_rng(1)
    assert np.mean([evidence(rare_losses(rng, 500, 0.005), -0.97, 1.0) >= 10 for _ in range(200)]) > 0.9
    assert evidence(np.full(200, 0.03), -0.97, 1.0) > 10
    assert evidence(np.zeros(200), -1.0, 1.0) == pytest.approx(1.0)
    assert evidence([], -1.0, 1.0) == 1.0


@given(st.lists(st.floats(-1, 1), max_size=30), st.integers(0, 29), st.floats(0, 1))
def test_better_rows_never_speak_against_the_promise(values: list[float], at: int, more: float) -> None:
    if at < len(values):
        better = [*values[:at], min(1.0, values[at] + more), *values[at + 1 :]]
        assert evidence(better, -1.0, 1.0) >= evidence(values, -1.0, 1.0) * (1 - 1e-9)


def test_the_t_test_is_scipy_s_and_widens_with_a_short_horizon() -> None:
    from scipy.stats import ttest_1samp

    x = np.random.default_rng(2).normal(0.1, 1, 400)
    assert 1 / normal_evidence(x) == pytest.approx(ttest_1samp(x, 0, alternative="greater").pvalue)
    assert normal_evidence(x, horizon=100) < normal_evidence(x)
    assert normal_evidence([0.1, 0.1]) > 1e100
    assert normal_evidence([0.0, 0.0]) == 1.0


def test_settings_are_taken_in_order_until_one_fails() -> None:
    assert last_kept(4, [20.0, 15.0, 3.0, 50.0].__getitem__, 0.1) == 1
    assert last_kept(2, [1.0, 99.0].__getitem__, 0.1) is None
    with pytest.raises(DataError, match="between 0 and 1"):
        last_kept(1, [1.0].__getitem__, 1.0)


def test_bad_values_are_told() -> None:
    with pytest.raises(DataError, match="both sides of 0"):
        evidence([0.1], 0.0, 1.0)
    with pytest.raises(DataError, match="from -1 to 1"):
        evidence([3.0], -1, 1)
    with pytest.raises(DataError, match="two rows"):
        normal_evidence([1.0])
