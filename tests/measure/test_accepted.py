"""Accuracy of what a score accepts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.accepted import accepted_accuracy, accepted_sets, mean_accuracy


def test_the_best_scored_are_in() -> None:
    scores, right = [0.9, 0.1, 0.8, 0.3], [1, 0, 1, 0]
    assert accepted_accuracy(scores, right, 0.25) == 1
    assert accepted_accuracy(scores, right, 0.5) == 1
    assert accepted_accuracy(scores, right, 0.75) == pytest.approx(2 / 3)
    assert accepted_accuracy(scores, right, 1.0) == 0.5
    # One and a half answers: the first, and half of the second.
    assert accepted_accuracy([3, 2, 1], [1, 0, 0], 0.5) == pytest.approx(1 / 1.5)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.floats(0.01, 1))
def test_a_score_that_tells_nothing_accepts_the_average(right: list[bool], share: float) -> None:
    assert accepted_accuracy(np.zeros(len(right)), right, share) == pytest.approx(np.mean(right))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30), st.integers(1, 30), st.randoms())
def test_ties_are_the_average_over_all_their_orders(rows: list[tuple[int, bool]], size: int, random: object) -> None:
    size = min(size, len(rows))
    scores, right = np.array([a for a, _ in rows]), np.array([b for _, b in rows], float)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(400):
        order = rng.permutation(len(rows))
        best = order[np.argsort(-scores[order], kind="stable")][:size]
        drawn.append(right[best].mean())
    assert accepted_accuracy(scores, right, size / len(rows)) == pytest.approx(np.mean(drawn), abs=0.15)


def test_the_curve_has_thresholds_and_intervals() -> None:
    rng = np.random.default_rng(1)
    good = rng.random(400) < 0.5
    scores = good + rng.normal(size=400)
    sets = accepted_sets(scores, good, (0.2, 1.0), groups=np.repeat(np.arange(100), 4), resamples=300)
    assert (scores >= sets[0].above).mean() == pytest.approx(0.2)
    assert sets[0].accuracy.low < sets[0].accuracy.value < sets[0].accuracy.high
    assert sets[0].accuracy.value > sets[1].accuracy.value == pytest.approx(good.mean())
    assert mean_accuracy(scores, good) > good.mean() > mean_accuracy(-scores, good)


@pytest.mark.parametrize(("scores", "right", "share"), [([], [], 0.5), ([1], [1, 0], 0.5), ([1], [1], 0.0)])
def test_what_makes_no_set_is_told(scores: list[float], right: list[int], share: float) -> None:
    with pytest.raises(DataError):
        accepted_accuracy(scores, right, share)
