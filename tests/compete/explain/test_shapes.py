"""Curves of columns: an additive model's own tables, and the means of what rows show."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.compete.explain import dependence, explained, shape_of
from pilotfish.models.additive import Additive
from tests.compete.explain.test_explain import fitted, task_of


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_additive_models_curve_is_its_table() -> None:
    task = task_of("two")
    model = fitted(task, "additive")
    told = explained(model, task.x_test)
    shape = shape_of(model, told, task.x_test, 0)
    assert shape.exact and not shape.categories and sum(shape.rows) == len(task.x_test)
    assert isinstance(model.inner, Additive)
    (term,) = [one for one in model.inner.terms if one.columns == (0,)]
    # Asked at the middle of a step, the table gives what the curve shows there.
    x = np.tile(task.x_test[:1], (len(shape.values), 1))
    x[:, 0] = [float(value) for value in shape.values]
    np.testing.assert_allclose(term.adds(x)[:, 0], shape.adds, atol=1e-12)
    plan = shape_of(model, told, task.x_test, 1)
    assert plan.categories and set(plan.values) == {"basic", "team"}
    adds = dict(zip(plan.values, plan.adds, strict=True))
    assert adds["team"] > adds["basic"]


def test_what_rows_show_are_their_means() -> None:
    task = task_of("two")
    model = fitted(task, "histogram")
    told = explained(model, task.x_test)
    plan = dependence(task.table, told, task.x_test, 1)
    for name, add, rows in zip(plan.values, plan.adds, plan.rows, strict=True):
        own = task.x_test[:, 1] == task.table.codes["plan"][str(name)]
        assert add == pytest.approx(told.shares[own, 1, 0].mean()) and rows == own.sum()
    curve = shape_of(model, told, task.x_test, 0)
    assert not curve.exact and list(curve.values) == sorted(curve.values) and sum(curve.rows) == len(task.x_test)
    assert curve.adds[-1] > curve.adds[0]
    assert all(low <= add <= high or low <= high for add, (low, high) in zip(curve.adds, curve.spread, strict=True))


def test_what_is_missing_stands_apart() -> None:
    task = task_of("two")
    model = fitted(task, "histogram")
    x = task.x_test.copy()
    x[:10, 0] = np.nan
    told = explained(model, x)
    curve = dependence(task.table, told, x, 0)
    assert curve.missing == pytest.approx(told.shares[:10, 0, 0].mean()) and sum(curve.rows) == len(x) - 10
