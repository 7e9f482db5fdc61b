"""The area under the ROC curve against all pairs, its interval's coverage, and the average precision by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.curve import area, area_interval, average_precision


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_the_area_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    scores, good = [score for score, _ in rows], [kind for _, kind in rows]
    ups = [score for score, kind in rows if kind]
    downs = [score for score, kind in rows if not kind]
    if not ups or not downs:
        with pytest.raises(DataError, match="good rows and others"):
            area(scores, good)
        return
    pairs = [(a > b) + (a == b) / 2 for a in ups for b in downs]
    assert area(scores, good) == pytest.approx(np.mean(pairs))
    assert area([-one for one in scores], good) == pytest.approx(1 - np.mean(pairs))


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    true = 0.7602499389  # of two normals one apart: the normal distribution at 1 / sqrt 2
    held = 0
    for _ in range(400):
        good = random.random(120) < 0.4
        found = area_interval(random.normal(good.astype(float), 1), good)
        held += found.low <= true <= found.high
    assert held / 400 == pytest.approx(0.95, abs=0.03)
    sure = area_interval([0, 1, 2, 3], [False, False, True, True])
    assert sure.value == sure.high == 1
    assert sure.low < 0.9


def test_average_precision_is_the_mean_precision_at_each_good_row() -> None:
    assert average_precision([0.9, 0.8, 0.7, 0.6], [True, False, True, False]) == pytest.approx((1 + 2 / 3) / 2)
