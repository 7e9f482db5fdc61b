"""Explanations of tables: they add up, name what counts, stay, and say what would change a class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pilotfish.compete.explain import changes, explained, faithful, stability
from pilotfish.compete.tables.kinds import kind_of
from pilotfish.compete.tables.model import TableModel
from pilotfish.compete.tables.task import TableTask, table_task
from pilotfish.errors import DataError, ModelError

for library in ("interpret", "lightgbm", "xgboost", "catboost"):
    pytest.importorskip(library)

QUICK = {"rounds": 40, "bags": 1, "pairs": 2}


def task_of(kind: str = "two", rows: int = 300) -> TableTask:
    """The first column counts most, the category some, the last column nothing."""
    rng = np.random.default_rng(0)
    found: list[dict[str, Any]] = []
    for _ in range(rows):
        a, plan, noise = float(rng.normal()), str(rng.choice(["basic", "team"])), float(rng.normal())
        score = 2 * a + (plan == "team")
        target: Any = (
            score if kind == "number" else "abc"[int(np.digitize(score, [0, 2] if kind == "three" else [0.5]))]
        )
        found.append({"a": a, "plan": plan, "noise": noise, "t": target})
    return table_task(found, "t")


def fitted(task: TableTask, kind: str, seed: int = 0) -> TableModel:
    one = kind_of(kind)
    settings = {key: QUICK.get(key, value) for key, value in one.usual.items()}
    return TableModel.of(task, one.fit(task.x, task.y, task.categorical, task.kind, settings, seed))


@pytest.mark.parametrize("target", ["two", "three", "number"])
@pytest.mark.parametrize("kind", ["linear", "histogram", "lightgbm", "xgboost", "additive"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_columns_add_is_all_there_is(kind: str, target: str) -> None:
    task = task_of(target)
    told = explained(fitted(task, kind), task.x_test)
    assert told.residual < 1e-6
    assert told.shares.shape == (len(task.x_test), 3, len(told.base))
    importance = dict(zip(told.columns, told.importance(), strict=True))
    assert importance["a"] > importance["plan"] > importance["noise"]
    assert told.ranked(0)[0][0] in ("a", "plan")
    assert told.outputs == {"two": ("b",), "three": ("a", "b", "c"), "number": ("the number",)}[target]


def test_what_is_no_sum_is_not_explained() -> None:
    task = task_of()
    with pytest.raises(ModelError, match="CatBoost"):
        explained(fitted(task, "catboost"), task.x_test)


def test_taking_away_what_counts_hurts_more_than_at_random() -> None:
    task = task_of()
    model = fitted(task, "histogram")
    told = explained(model, task.x_test)
    said = model.inner.predict(task.x_test).argmax(axis=1)
    toward = told.shares[:, :, 0] * np.where(said == 1, 1, -1)[:, None]
    found = faithful(model.inner.predict, task.x_test, toward, task.x)
    assert found.deletion_gain.low > 0 and found.insertion_gain.low > 0
    assert found.deletion.value < found.random_deletion.value
    # The order turned round is worse than none.
    turned = faithful(model.inner.predict, task.x_test, -toward, task.x)
    assert turned.deletion_gain.high < 0
    with pytest.raises(DataError):
        faithful(model.inner.predict, task.x_test, toward[:, :1], task.x)


def test_faithfulness_of_a_number() -> None:
    task = task_of("number")
    model = fitted(task, "linear")
    told = explained(model, task.x_test)
    found = faithful(model.inner.predict, task.x_test, np.abs(told.shares[:, :, 0]), task.x)
    assert found.deletion_gain.value > 0


def test_stability_is_of_ranks() -> None:
    same = stability([np.array([3.0, 2, 1, 0]), np.array([30.0, 20, 10, 0])], 2)
    assert same.correlation == pytest.approx(1) and same.top == 1
    turned = stability([np.array([3.0, 2, 1, 0]), np.array([0.0, 1, 2, 3])], 2)
    assert turned.correlation == pytest.approx(-1) and turned.top == 0
    task = task_of()
    models = [fitted(task, "lightgbm", seed) for seed in range(3)]
    assert stability([explained(one, task.x_test).importance() for one in models]).correlation > 0.9
    with pytest.raises(DataError):
        stability([np.zeros(3)])


def test_the_fewest_columns_that_change_the_class() -> None:
    task = task_of()
    model = fitted(task, "histogram")
    predict = model.inner.predict
    told = predict(task.x_test)
    at = int((told[:, 0] - told[:, 1]).argmax())  # surest of the first class
    found = changes(predict, task.x_test[at], 1, task.x)
    assert found.found and len(found.columns) <= 2 and found.probability > 0.5
    row = task.x_test[at].copy()
    row[list(found.columns)] = found.values
    assert predict(row[None])[0].argmax() == 1
    # Without the column that counts it takes others, or there is no way.
    held = changes(predict, task.x_test[at], 1, task.x, fixed=[0])
    assert 0 not in held.columns
    already = int((told[:, 1]).argmax())
    assert changes(predict, task.x_test[already], 1, task.x).columns == ()
    with pytest.raises(DataError):
        changes(lambda x: np.tile([1.0, 0.0], (len(x), 1)), row, 1, task.x)
