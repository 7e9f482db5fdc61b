"""What each column adds to what trees say: by the definition, and all of it together."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.models.forest import Forest, from_lightgbm, from_sklearn, from_xgboost
from pilotfish.models.forest._shapley import by_subsets
from tests.models.forest.test_forest import made, stump, target, unseen

X = unseen(np.random.default_rng(3), 40)


def forest_of(library: str, kind: str) -> Forest:
    x, *_ = made()
    if library == "lightgbm":
        lightgbm = pytest.importorskip("lightgbm")
        model = lightgbm.LGBMClassifier(n_estimators=6, num_leaves=12, min_child_samples=5, verbose=-1, n_jobs=1)
        return from_lightgbm(model.fit(x, target(kind), categorical_feature=[1]).booster_)
    if library == "xgboost":
        xgboost = pytest.importorskip("xgboost")
        how = {"enable_categorical": True, "feature_types": ["q", "c", "q"], "n_jobs": 1}
        return from_xgboost(
            xgboost.XGBClassifier(n_estimators=6, max_depth=5, **how).fit(x, target(kind)).get_booster()
        )
    ensemble = pytest.importorskip("sklearn.ensemble")
    model = ensemble.HistGradientBoostingClassifier(max_iter=6, max_leaf_nodes=12, categorical_features=[1])
    return from_sklearn(model.fit(x, target(kind)), 3)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "sklearn"])
@pytest.mark.parametrize("kind", ["two classes", "three classes"])
def test_shares_are_shapley_values_and_all_there_is(library: str, kind: str) -> None:
    forest = forest_of(library, kind)
    shares, base = forest.shares(X)
    assert np.abs(base + shares.sum(axis=1) - forest.raw(X)).max() < 1e-6
    slow = np.zeros_like(shares)
    by_subsets(forest.trees, X, slow)
    np.testing.assert_allclose(shares, slow, atol=1e-9)
    assert np.abs(shares).max() > 0.05


def test_a_column_that_decides_twice_is_one_column() -> None:
    """Deep trees on one column of noise and one that counts: by the definition, again."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    y = np.sin(6 * x[:, 0]) + 0.1 * x[:, 1]
    model = ensemble.HistGradientBoostingRegressor(max_iter=3, max_leaf_nodes=31, min_samples_leaf=2).fit(x, y)
    forest = from_sklearn(model, 2)
    shares, base = forest.shares(x[:20])
    slow = np.zeros_like(shares)
    by_subsets(forest.trees, x[:20], slow)
    np.testing.assert_allclose(shares, slow, atol=1e-10)
    assert np.abs(base + shares.sum(axis=1) - forest.raw(x[:20])).max() < 1e-10
    assert np.abs(shares[:, 0]).mean() > 5 * np.abs(shares[:, 1]).mean()


def test_two_leaves_are_a_closed_form() -> None:
    shares, base = stump().shares(np.array([[0.0, 5.0], [2.0, 5.0]]))
    mean = (3 * -1.5 + 1 * 2.5) / 4
    np.testing.assert_allclose(base, [mean])
    np.testing.assert_allclose(shares[:, :, 0], [[-1.5 - mean, 0], [2.5 - mean, 0]])


def test_without_a_compiler_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = forest_of("sklearn", "two classes")
    wanted, _ = forest.shares(X)
    monkeypatch.setenv("PILOTFISH_NATIVE", "0")
    found, _ = forest.shares(X)
    np.testing.assert_allclose(found, wanted, atol=1e-9)
