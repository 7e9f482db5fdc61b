"""What an uncertainty is worth: by brute force over orders, and at the ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.evaluate.uncertainty.worth import auroc, prr, rejection


def test_the_curve_is_what_is_expected_over_all_orders_of_equals() -> None:
    unsure, good = [0.2, 0.1, 0.2, 0.5, 0.2], [1.0, 0.0, 0.5, 0.25, 0.0]
    curves = []
    for order in itertools.permutations(range(5)):
        if sorted(order, key=lambda i: unsure[i]) == list(order):
            curves.append(np.cumsum([good[i] for i in order]) / np.arange(1, 6))
    assert len(curves) == 6
    assert rejection(unsure, good) == pytest.approx(np.mean(curves, axis=0))


def test_the_ratio_is_one_at_best_and_nought_by_chance() -> None:
    dice = np.random.default_rng(0)
    good = dice.random(400)
    assert prr(-good, good).value == pytest.approx(1)
    assert prr(good, good).value < -0.9
    assert prr(np.zeros(400), good).value == pytest.approx(0)
    chance = prr(dice.random(400), good)
    assert chance.low < 0 < chance.high
    some = prr(-good + dice.normal(0, 0.3, 400), good)
    assert 0.3 < some.low < some.value < some.high < 1


def test_auroc_is_of_wrong_answers() -> None:
    assert auroc([0.9, 0.8, 0.1, 0.2], [0, 0, 1, 1]).value == 1
    assert auroc([0.5, 0.5], [0, 1]).value == 0.5


def test_mistakes() -> None:
    with pytest.raises(DataError, match="as good as one another"):
        prr([0.1, 0.2], [1, 1])
    with pytest.raises(DataError, match="of each answer"):
        rejection([0.1], [1, 1])
    with pytest.raises(DataError, match="not finite"):
        rejection([float("nan")], [1])
