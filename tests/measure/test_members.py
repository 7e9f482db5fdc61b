"""Scores of sets of labels: those of scikit-learn, with intervals that hold them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pilotfish.errors import DataError
from pilotfish.measure.members import member_scores, member_table

metrics = pytest.importorskip("sklearn.metrics")


@settings(max_examples=30)
@given(arrays(bool, st.tuples(st.just(2), st.integers(1, 12), st.just(3))))
def test_f1_is_scikit_learns(tables: np.ndarray) -> None:
    truth, said = tables
    found = member_scores(truth, said, ["a", "b", "c"], resamples=100)
    there = (truth | said).any(axis=0)
    micro = metrics.f1_score(truth, said, average="micro", zero_division=0) if there.any() else 1.0
    each = metrics.f1_score(truth, said, average=None, zero_division=0)
    assert found.micro.value == pytest.approx(micro)
    assert found.macro.value == pytest.approx(each[there].mean() if there.any() else 1.0)
    assert found.exact.value == pytest.approx((truth == said).all(axis=1).mean())
    assert list(found.labels) == [name for i, name in enumerate("abc") if there[i]]
    for i, name in enumerate("abc"):
        if there[i]:
            assert found.labels[name][0] == pytest.approx(each[i])
            assert found.labels[name][1] == int(truth[:, i].sum())


def test_the_interval_is_of_rows() -> None:
    random = np.random.default_rng(0)
    truth = random.random((400, 4)) < 0.3
    said = truth ^ (random.random((400, 4)) < 0.1)
    few, many = (member_scores(truth[:n], said[:n], list("abcd")) for n in (50, 400))
    assert few.micro.high - few.micro.low > 1.8 * (many.micro.high - many.micro.low)
    assert many.micro.low < many.micro.value < many.micro.high
    assert many.to_json()["labels"]["a"]["rows"] == int(truth[:, 0].sum())
    assert "micro F1" in str(many)


def test_tables_are_of_sets() -> None:
    np.testing.assert_array_equal(member_table([["b"], [], ["a", "b"]], ["a", "b"]), [[0, 1], [0, 0], [1, 1]])
    with pytest.raises(DataError, match="row 2: 'c' is none of the 2 labels"):
        member_table([["a"], ["c"]], ["a", "b"])
    with pytest.raises(DataError, match="sets of 2 labels"):
        member_scores(np.zeros((2, 2)), np.zeros((3, 2)), ["a", "b"])
    with pytest.raises(DataError, match="sets of 1 labels"):
        member_scores(np.zeros((2, 2)), np.zeros((2, 2)), ["a"])
