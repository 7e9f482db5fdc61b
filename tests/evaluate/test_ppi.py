"""Prediction-powered means: closed forms, and what they promise over many draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from pilotfish.errors import DataError
from pilotfish.evaluate.ppi import powered_mean


def test_it_is_the_formula() -> None:
    y, f, g = [1.0, 0.0, 1.0, 1.0], [0.9, 0.2, 0.4, 0.8], [0.5, 0.7, 0.1, 0.9, 0.6]
    found = powered_mean(y, f, g, weight=1.0)
    gaps = np.array(y) - f
    assert found.mean.value == pytest.approx(np.mean(g) + gaps.mean())
    variance = gaps.var(ddof=1) / 4 + np.var([*f, *g], ddof=1) / 5
    # Hall's transformation, its ends found numerically: T + k T^2 / 3 + k^2 T^3 / 27 + k / 6 = t, k the skewness.
    third = ((gaps - gaps.mean()) ** 3).mean() / 16 + ((both := np.array([*f, *g])) - both.mean()) ** 3 @ np.ones(
        9
    ) / 225
    k = third / variance**1.5
    for end, quantile in ((found.mean.low, t.ppf(0.975, 3)), (found.mean.high, t.ppf(0.025, 3))):
        told = (found.mean.value - end) / np.sqrt(variance)
        assert told + k * told**2 / 3 + k**2 * told**3 / 27 + k / 6 == pytest.approx(quantile)
    assert found.bias == pytest.approx(-gaps.mean()) and found.judge == pytest.approx(np.mean([*f, *g]))
    assert (found.mean.n, found.rows) == (4, 5)


def test_a_judge_that_is_not_listened_to_changes_nothing() -> None:
    dice = np.random.default_rng(0)
    y, f, g = dice.random(40), dice.random(40), dice.random(500)
    assert powered_mean(y, f, g, weight=0.0).mean.value == pytest.approx(y.mean())
    assert powered_mean(y, f, g, weight=0.0).mean.width == pytest.approx(powered_mean(y, f, g).people.width)
    # One that says the same of all rows, or the opposite of people, is not listened to by itself.
    assert powered_mean(y, np.ones(40), np.ones(500)).weight == 0
    assert powered_mean(y, 1 - y, 1 - dice.random(500)).weight == 0


def test_a_perfect_judge_makes_the_interval_that_of_all_rows() -> None:
    y = np.random.default_rng(1).normal(size=5050)
    found = powered_mean(y[:50], y[:50], y[50:])
    assert found.weight == pytest.approx(5000 / 5050)
    assert found.saved > 50
    assert abs(found.mean.value - y.mean()) < 1e-3


@pytest.mark.parametrize("bias", [0.0, 0.4])
@pytest.mark.parametrize("rows", [20, 100])
def test_it_covers_what_it_promises_and_is_narrower_than_people_s(bias: float, rows: int) -> None:
    """500 draws, people's scores 0 or 1, a judge that is right on most and may be biased: the truth is .6."""
    dice = np.random.default_rng(7)
    within, widths = [], []
    for _ in range(500):
        truth = dice.random(rows + 1000) < 0.6
        judged = np.clip(
            truth * 0.7 + 0.15 + bias * dice.random(rows + 1000) + dice.normal(0, 0.1, rows + 1000), 0, 1.5
        )
        found = powered_mean(truth[:rows], judged[:rows], judged[rows:])
        within.append(found.mean.contains(0.6))
        widths.append((found.mean.width, found.people.width))
    # Four standard errors of 500 draws at .95 are .039.
    assert np.mean(within) > 0.95 - 0.039
    mean = np.mean(widths, axis=0)
    assert mean[0] < 0.8 * mean[1]


def test_mistakes() -> None:
    for y, f, g in (([1.0], [1.0], [1.0]), ([1.0, 0.0], [1.0, 0.0], []), ([1.0, 0.0], [1.0], [1.0])):
        with pytest.raises(DataError):
            powered_mean(y, f, g)
    with pytest.raises(DataError, match="not finite"):
        powered_mean([1.0, float("nan")], [1.0, 0.0], [1.0])


@pytest.mark.parametrize("rows", [50, 100])
def test_scores_that_lie_at_one_end_are_covered_too(rows: int) -> None:
    """Four of five rows have the best score, the others any: what people give summaries for consistency."""
    dice = np.random.default_rng(1)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.where(dice.random(count) < 0.8, 5.0, dice.uniform(1, 5, count))
        return y, 0.7 * y + dice.normal(0, 0.5, count)

    within, sides = [], np.zeros(2)
    for _ in range(1000):
        (y, f), (_, g) = drawn(rows), drawn(1000)
        found = powered_mean(y, f, g)
        within.append((found.mean.contains(4.6), found.people.contains(4.6)))
        sides += [found.people.low > 4.6, found.people.high < 4.6]
    # Four standard errors of 1,000 draws at .95 are .028.
    assert np.mean(within, axis=0) == pytest.approx([0.95, 0.95], abs=0.035)
    assert np.mean(within, axis=0).min() > 0.95 - 0.028
    # A symmetric interval misses three times as often above as below here.
    assert sides.max() < 2.5 * sides.min() + 10


def test_a_weight_that_was_found_takes_a_degree_of_freedom() -> None:
    """People's scores and a judge's that know nothing of each other: on few rows some weight is always found."""
    dice = np.random.default_rng(0)
    within = [
        powered_mean(dice.normal(size=8), dice.normal(size=8), dice.normal(size=500)).mean.contains(0)
        for _ in range(1500)
    ]
    assert np.mean(within) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 1500)
