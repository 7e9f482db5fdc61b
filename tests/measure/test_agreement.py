"""Kappa against scikit-learn, by hand and against the concordance correlation; correlations against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.agreement import Weights, correlation, kappa, kappa_interval, ranks

COLUMNS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40)


@given(rows=COLUMNS, weights=st.sampled_from(["none", "linear", "quadratic"]))
def test_kappa_is_scikit_learn_s(rows: list[tuple[int, int]], weights: Weights) -> None:
    a, b = zip(*rows, strict=True)
    if len({*a, *b}) < 2:
        assert kappa(a, b, weights) == 0
        return
    how = None if weights == "none" else weights
    assert kappa(a, b, weights) == pytest.approx(cohen_kappa_score(a, b, labels=range(5), weights=how), abs=1e-12)


def test_kappa_by_hand() -> None:
    """Cohen's: 50 rows, 20 + 15 agree: (.7 - .5) / (1 - .5)."""
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert kappa(a, b) == pytest.approx(0.4)
    assert kappa(["a", "a"], ["a", "a"]) == 0  # chance agrees as fully
    assert kappa(["a", "b"], ["b", "a"]) == -1
    assert kappa([1, 1], [2, 2], "quadratic") == 0


def test_squared_differences_are_the_concordance_correlation() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    y = 0.5 * x + random.normal(size=200) + 1
    covered = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert kappa(x, y, "quadratic") == pytest.approx(covered)


def test_the_interval_is_of_groups() -> None:
    random = np.random.default_rng(1)
    a = random.integers(0, 3, 60)
    b = np.where(random.random(60) < 0.7, a, random.integers(0, 3, 60))
    single = kappa_interval(a, b, resamples=500)
    assert single.low < single.value == kappa(a, b) < single.high and single.n == 60
    repeated = kappa_interval(np.repeat(a, 4), np.repeat(b, 4), groups=np.repeat(np.arange(60), 4), resamples=500)
    assert repeated.n == 60 and repeated.width == pytest.approx(single.width, rel=0.2)


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ConfigError, match="weights"):
        kappa([1], [1], "cubic")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="needs numbers"):
        kappa(["a"], ["b"], "linear")
    with pytest.raises(DataError, match="there are 1, 2"):
        kappa([1], [1, 2])
    with pytest.raises(DataError, match="not finite"):
        kappa([1.0], [float("nan")], "quadratic")


@given(rows=COLUMNS)
def test_correlations_are_scipy_s(rows: list[tuple[int, int]]) -> None:
    both = np.array(rows, np.float64)
    ranked = np.apply_along_axis(ranks, 0, both)
    if not np.ptp(both, axis=0).all():
        assert correlation(both) == 0
        return
    assert correlation(both) == pytest.approx(stats.pearsonr(*both.T)[0], abs=1e-9)
    assert correlation(ranked) == pytest.approx(stats.spearmanr(both)[0], abs=1e-9)
