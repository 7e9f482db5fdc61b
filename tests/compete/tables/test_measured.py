"""What predictions are worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pilotfish.compete.tables.measured import above, one_row, value_of, worth
from pilotfish.compete.tables.task import table_task
from pilotfish.errors import DataError

metrics = pytest.importorskip("sklearn.metrics")


def probabilities(classes: int, rows: int = 80) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, rows)
    told = rng.dirichlet(np.ones(classes), rows) + 0.5 * np.eye(classes)[y]
    return told / told.sum(axis=1, keepdims=True), y.astype(float)


def test_measures_are_scikit_learn_s() -> None:
    for classes in (2, 4):
        told, y = probabilities(classes)
        rows = np.concatenate([y[:, None], told], axis=1)
        more = {} if classes == 2 else {"multi_class": "ovr"}
        assert value_of("auc", rows) == pytest.approx(
            metrics.roc_auc_score(y, told[:, 1] if classes == 2 else told, **more)
        )
        assert value_of("log-likelihood", rows) == pytest.approx(-metrics.log_loss(y, told))
        assert value_of("accuracy", rows) == pytest.approx(metrics.accuracy_score(y, told.argmax(1)))
    y, told = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0])
    rows = np.stack([y, told], axis=1)
    assert value_of("r2", rows) == pytest.approx(metrics.r2_score(y, told))
    assert value_of("-rmse", rows) == pytest.approx(-np.sqrt(metrics.mean_squared_error(y, told)))
    assert value_of("-mae", rows) == pytest.approx(-metrics.mean_absolute_error(y, told))
    assert value_of("auc", np.array([[1.0, 0.5, 0.5]])) == 0.5
    with pytest.raises(DataError):
        value_of("none", rows)


def test_worth_has_intervals_and_differences_are_paired() -> None:
    rows = [{"a": float(i), "t": "x" if i % 2 else "y"} for i in range(400)]
    task = table_task(rows, "t")
    y = task.y_test
    good = np.stack([1 - (0.2 + 0.6 * y), 0.2 + 0.6 * y], axis=1)
    rng = np.random.default_rng(1)
    poor = np.clip(good + rng.normal(0, 0.4, (len(y), 1)) * [1, -1], 0.01, 0.99)
    found = worth(task, poor, resamples=200)
    assert set(found.measures) == {"auc", "accuracy", "log-likelihood"} and found.rows == len(y)
    assert found.measures["auc"].low < found.measures["auc"].value < 1
    gap = above(good, poor, y, "auc", resamples=200)
    assert gap.low > 0
    assert found.to_json()["measures"]["auc"]["value"] == found.measures["auc"].value
    number = table_task([{"a": float(i), "t": float(i) * 2} for i in range(100)], "t")
    assert worth(number, number.y_test, resamples=100).measures["r2"].value == 1


def test_single_rows_are_timed_from_their_columns_on() -> None:
    rows = [{"a": float(i), "t": "x" if i % 2 else "y"} for i in range(100)]
    task = table_task(rows, "t")
    seen: list[tuple[int, ...]] = []

    def predict(x: Any) -> Any:
        seen.append(x.shape)
        return np.full((len(x), 2), 0.5)

    found = one_row(task, predict, task.test, seconds=0.2)
    assert found.p95 > 0 and set(seen) == {(1, 1)}
