"""What scores of a scope are worth: areas and rates as counting gives them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.outside import passed_at, scope_scores

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=40)


@given(SCORES, SCORES)
def test_the_rate_is_at_the_threshold_that_keeps_enough(inside: list[int], outside: list[int]) -> None:
    up, down = np.array(inside, float), np.array(outside, float)
    found = passed_at(up, down)
    able = [t for t in np.unique(up) if (up >= t).mean() >= 0.95 - 1e-12]
    assert found == pytest.approx(float((down >= max(able)).mean()))


def test_all_of_it() -> None:
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(1.5, 1, 300), random.normal(0, 1, 200)])
    inside = np.arange(500) < 300
    found = scope_scores(scores, inside, 0.0)
    pairs = scores[:300][:, None] - scores[300:][None]
    assert found.auroc.value == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    assert found.kept is not None and found.caught is not None
    assert found.kept.value == pytest.approx((scores[:300] >= 0).mean()) and found.kept.n == 300
    assert found.caught.value == pytest.approx((scores[300:] < 0).mean()) and found.caught.n == 200
    for one in (found.auroc, found.fpr95):
        assert one.low < one.value < one.high
    assert set(found.to_json()) == {"auroc", "fpr95", "kept", "caught"} and "catches" in str(found)
    plain = scope_scores(scores, inside)
    assert plain.kept is None and plain.caught is None and "catches" not in str(plain)


def test_scores_that_tell_all_and_none() -> None:
    inside = np.arange(40) < 20
    all_told = scope_scores(inside.astype(float), inside)
    assert (all_told.auroc.value, all_told.fpr95.value) == (1.0, 0.0)
    none = scope_scores(np.zeros(40), inside)
    assert (none.auroc.value, none.fpr95.value) == (0.5, 1.0)
    for wrong in (np.ones(40, bool), np.zeros(40, bool), np.ones(3, bool)):
        with pytest.raises(DataError, match="texts inside and outside"):
            scope_scores(np.zeros(40), wrong)
