"""Trees of three libraries as one kind of arrays: their own answers, in C and in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import DataError, ModelError
from pilotfish.models.forest import Forest, from_lightgbm, from_sklearn, from_xgboost
from pilotfish.models.forest._walk import NODE, walk_numpy

CATEGORIES = 40  # more than one word of bits


def made(rows: int = 600, seed: int = 0, *, missing: bool = True) -> tuple[Any, Any, Any]:
    """Numbers, categories, what is missing; two classes, and a number."""
    rng = np.random.default_rng(seed)
    x = np.column_stack(
        [rng.normal(size=rows), rng.integers(0, CATEGORIES, rows).astype(float), rng.normal(size=rows).round(1)]
    )
    if missing:
        x[rng.random(rows) < 0.1, 0] = np.nan
        x[rng.random(rows) < 0.1, 1] = np.nan
    number = np.nan_to_num(x[:, 0]) + 2 * (x[:, 1] % 3 == 0) + x[:, 2] * (x[:, 1] > 20)
    return x, (number > 0.7).astype(int), number


def unseen(rng: np.random.Generator, rows: int = 200) -> Any:
    """Rows with categories that nobody saw, with thresholds met exactly, with what is missing."""
    x, *_ = made(rows, seed=9)
    x[:, 1] = np.where(rng.random(rows) < 0.2, CATEGORIES + rng.integers(0, 60, rows), x[:, 1])
    x[rng.random(rows) < 0.2, 2] = np.nan
    return x


KINDS = ("two classes", "three classes", "a number")


def target(kind: str) -> Any:
    _, two, number = made()
    return {"two classes": two, "three classes": np.digitize(number, [0, 1]), "a number": number}[kind]


def agrees(forest: Forest, wanted: Any, x: Any, within: float) -> None:
    np.testing.assert_allclose(forest.predict(x), wanted, atol=within, rtol=within)
    plain = np.tile(forest.base, (len(x), 1))
    walk_numpy(forest.trees, np.ascontiguousarray(x), plain)
    np.testing.assert_allclose(forest.raw(x), plain, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [True, False])
def test_lightgbm_s_trees(kind: str, missing: bool) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    x, *_ = made(missing=missing)
    kinds = lightgbm.LGBMRegressor if kind == "a number" else lightgbm.LGBMClassifier
    model = kinds(n_estimators=12, num_leaves=9, min_child_samples=5, verbose=-1, n_jobs=1)
    model.fit(x, target(kind), categorical_feature=[1])
    new = unseen(np.random.default_rng(1))
    wanted = model.predict(new) if kind == "a number" else model.predict_proba(new)
    agrees(from_lightgbm(model.booster_), wanted, new, 1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_xgboost_s_trees(kind: str) -> None:
    xgboost = pytest.importorskip("xgboost")
    x, *_ = made()
    kinds = xgboost.XGBRegressor if kind == "a number" else xgboost.XGBClassifier
    how = {"enable_categorical": True, "feature_types": ["q", "c", "q"], "n_jobs": 1}
    model = kinds(n_estimators=12, max_depth=4, **how).fit(x, target(kind))
    new, *_ = made(seed=9)  # it refuses categories that it never saw
    new[::7, 2] = np.nan
    wanted = model.predict(new) if kind == "a number" else model.predict_proba(new)
    agrees(from_xgboost(model.get_booster()), wanted, new, 2e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("categorical", [[1], None])
def test_scikit_learn_s_trees(kind: str, categorical: Any) -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    x, *_ = made()
    kinds = ensemble.HistGradientBoostingRegressor if kind == "a number" else ensemble.HistGradientBoostingClassifier
    model = kinds(max_iter=12, max_leaf_nodes=9, categorical_features=categorical)
    kept = x[:, 1] != 7  # a code that is not there shifts scikit-learn's own numbers
    model.fit(x[kept], target(kind)[kept])
    new = unseen(np.random.default_rng(2))
    wanted = model.predict(new) if kind == "a number" else model.predict_proba(new)
    agrees(from_sklearn(model, 3), wanted, new, 1e-9)


def test_saved_trees_are_the_same(tmp_path: Path) -> None:
    forest = stump()
    forest.save(tmp_path)
    again = Forest.load(tmp_path)
    x = np.array([[0.5, 1.0], [2.0, np.nan]])
    np.testing.assert_array_equal(again.raw(x), forest.raw(x))
    assert (again.columns, again.link, again.single) == (2, "sigmoid", False)
    with pytest.raises(DataError, match="2 columns"):
        forest.predict(np.zeros((1, 3)))
    with pytest.raises(ModelError, match="no forest"):
        Forest.load(tmp_path / "none")
    (tmp_path / "forest.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(ModelError, match="damaged"):
        Forest.load(tmp_path)


def stump(**changes: Any) -> Forest:
    nodes = np.zeros(3, NODE)
    nodes["left"], nodes["right"] = [1, -1, -1], [2, -1, -1]
    nodes["threshold"][0], nodes["value"], nodes["cover"] = 1.0, [0, -1.5, 2.5], [4, 3, 1]
    for name, value in changes.items():
        nodes[name][0] = value
    one = np.zeros(1, np.int32)
    return Forest(nodes, np.zeros(0, np.uint32), one, one, np.zeros(1), 2, "sigmoid")


def test_two_leaves_are_a_closed_form() -> None:
    found = stump().predict(np.array([[1.0, 0.0], [1.0001, 0.0]]))
    np.testing.assert_allclose(found[:, 1], [1 / (1 + np.exp(1.5)), 1 / (1 + np.exp(-2.5))])


@pytest.mark.parametrize("fault", [{"left": 0}, {"right": 9}, {"feature": 2}, {"words": 1}, {"feature": -1}])
def test_trees_that_lead_nowhere_are_not_loaded(tmp_path: Path, fault: dict[str, int]) -> None:
    stump(**fault).save(tmp_path)
    with pytest.raises(ModelError, match="lead nowhere"):
        Forest.load(tmp_path)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(width=64), min_size=2, max_size=2))
def test_any_number_finds_a_leaf(row: list[float]) -> None:
    assert stump().raw(np.array([row]))[0, 0] in (-1.5, 2.5)
