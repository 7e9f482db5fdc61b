"""A table as a task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pilotfish.compete.tables.task import table_task
from pilotfish.errors import ConfigError, DataError


def people(count: int = 60) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "age": int(rng.integers(18, 80)) if i % 7 else None,
            "plan": str(rng.choice(["basic", "plus"])),
            "stays": "yes" if i % 3 else "no",
            "pays": float(i) + 0.5,
            "house": i // 2,
        }
        for i in range(count)
    ]


def test_classes_are_split_stratified_and_categories_learnt_from_training_rows() -> None:
    task = table_task(people(), "stays", columns=["age", "plan"])
    assert (task.kind, task.classes, task.categorical) == ("classes", ("no", "yes"), [1])
    assert (len(task.train), len(task.test)) == (48, 12)
    assert task.y_test.mean() == pytest.approx(task.y.mean(), abs=0.05)
    assert np.isnan(task.x[:, 0]).any()
    assert task.labels(task.y[:2]) == [task.train[0]["stays"], task.train[1]["stays"]]


def test_numbers_are_told_from_classes_and_groups_stay_together() -> None:
    task = table_task(people(), "pays", group="house")
    assert task.kind == "number" and task.classes == ()
    assert "house" not in task.table.columns
    assert not {row["house"] for row in task.train} & {row["house"] for row in task.test}
    assert table_task(people(), "house", kind="number").kind == "number"


def test_rows_without_a_target_are_counted() -> None:
    rows = [*people(), {"age": 3, "plan": "basic", "stays": " ", "pays": 1.0, "house": 1}]
    assert table_task(rows, "stays").left_out == 1


@pytest.mark.parametrize(
    ("rows", "target", "settings", "error"),
    [
        ([], "a", {}, DataError),
        (people(), "none", {}, ConfigError),
        (people(), "stays", {"columns": ["none"]}, ConfigError),
        (people(8), "stays", {}, DataError),
        ([{"a": 1, "b": "x"}] * 20, "b", {}, DataError),
        (people(), "plan", {"kind": "number"}, DataError),
        ([{"a": i, "b": "rare" if not i else "common"} for i in range(40)], "b", {"seed": 4}, None),
    ],
)
def test_what_is_no_task_is_told(rows: Any, target: str, settings: dict[str, Any], error: Any) -> None:
    if error is None:  # a class of one row is learnt from
        assert "rare" in [row["b"] for row in table_task(rows, target, **settings).train]
        return
    with pytest.raises(error):
        table_task(rows, target, **settings)
