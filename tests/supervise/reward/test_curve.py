"""The curve of the best of n: against every way to draw n answers, and where a reward is trusted too much."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.supervise.reward.curve import best_of_curve


@pytest.mark.parametrize("ties", [False, True])
def test_it_is_the_mean_over_all_draws(ties: bool) -> None:
    random = np.random.default_rng(0)
    proxy, gold = random.normal(size=(4, 7)), random.normal(size=(4, 7))
    if ties:
        proxy = np.round(proxy)
    for found in best_of_curve(proxy, gold, [1, 2, 3, 7]):
        expected = []
        for mine, wanted in zip(proxy, gold, strict=True):
            worths = []
            for some in combinations(range(7), found.n):
                top = max(mine[i] for i in some)
                worths.append(np.mean([wanted[i] for i in some if mine[i] == top]))
            expected.append(np.mean(worths))
        if not ties:
            assert found.gold.value == pytest.approx(np.mean(expected))
        assert found.divergence == pytest.approx(math.log(found.n) - (found.n - 1) / found.n)


def test_equal_rewards_pick_by_chance() -> None:
    random = np.random.default_rng(1)
    gold = random.normal(size=(3, 6))
    for found in best_of_curve(np.zeros((3, 6)), gold, [1, 2, 6]):
        assert found.gold.value == pytest.approx(gold.mean())


def test_a_reward_that_is_wrong_at_its_top_falls_in_the_end() -> None:
    random = np.random.default_rng(2)
    gold = random.normal(size=(200, 64))
    proxy = gold + random.normal(size=gold.shape)
    proxy[:, 0] += 30  # one answer a prompt that the small reward takes for wonderful
    gold[:, 0] = -3
    curve = best_of_curve(proxy, gold)
    assert [one.n for one in curve] == [1, 2, 4, 8, 16, 32, 64]
    values = [one.gold.value for one in curve]
    assert max(values) > values[0]
    assert values[-1] == pytest.approx(-3)
    assert all(a.proxy.value < b.proxy.value for a, b in pairwise(curve))


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(DataError, match="both are"):
        best_of_curve(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(DataError, match="best of 4"):
        best_of_curve(np.zeros((2, 3)), np.zeros((2, 3)), [4])
