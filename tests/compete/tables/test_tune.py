"""Kinds of model for tables, fitted and tuned for real on small ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.compete.tables.kinds import KINDS, kind_of
from pilotfish.compete.tables.model import TableModel
from pilotfish.compete.tables.task import TableTask, table_task
from pilotfish.compete.tables.tune import loss_of, tuned
from pilotfish.errors import ConfigError

for library in ("catboost", "interpret", "lightgbm", "optuna", "xgboost"):
    pytest.importorskip(library)


def task_of(kind: str, count: int = 240) -> TableTask:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        a, plan = float(rng.normal()), str(rng.choice(["basic", "plus", "team"]))
        score = a + 2.0 * (plan == "team") + 0.3 * float(rng.normal())
        target: Any = {"two": "yes" if score > 0.7 else "no", "three": "abc"[int(np.digitize(score, [0, 1]))]}.get(kind)
        rows.append({"a": a if rng.random() > 0.1 else None, "plan": plan, "t": score if kind == "number" else target})
    return table_task(rows, "t")


QUICK = {"rounds": 40, "bags": 1, "pairs": 1}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", ["two", "three", "number"])
def test_every_kind_learns_and_is_kept(name: str, kind: str, tmp_path: Path) -> None:
    task, one = task_of(kind), kind_of(name)
    settings = {key: QUICK.get(key, value) for key, value in one.usual.items()}
    fitted = one.fit(task.x, task.y, task.categorical, task.kind, settings, 0)
    told = fitted.predict(task.x_test)
    if kind == "number":
        guessed = np.full(len(task.y_test), task.y.mean())
    else:
        assert told.shape == (len(task.x_test), len(task.classes))
        np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-6)
        guessed = np.tile(np.bincount(task.y.astype(int)) / len(task.y), (len(task.y_test), 1))
    assert loss_of(task, told, task.y_test) < 0.85 * loss_of(task, guessed, task.y_test)
    if name not in ("linear", "catboost", "rules"):  # what is kept answers as the library does
        own = fitted.model.predict(task.x_test) if kind == "number" else fitted.model.predict_proba(task.x_test)
        np.testing.assert_allclose(told, own, atol=2e-6)
    TableModel.of(task, fitted, "made").save(tmp_path)
    again = TableModel.load(tmp_path)
    np.testing.assert_allclose(again.predict(task.test), told, atol=1e-12)
    assert (again.kind, again.classes, again.made) == (task.kind, task.classes, "made")
    # A category that nobody saw and a row of nothing are answered too.
    odd = np.array([[np.nan, np.nan], [0.1, np.nan]])
    assert np.isfinite(fitted.predict(odd)).all()


def test_settings_are_looked_for_within_seconds() -> None:
    task = task_of("two")
    begun = time.perf_counter()
    found = tuned(kind_of("linear"), task, seconds=1.5, seed=1)
    assert time.perf_counter() - begun < 6
    assert found.trials > 3 and found.loss <= found.usual
    assert found.settings.keys() == {"c"}
    assert loss_of(task, found.fitted.predict(task.x_test), task.y_test) < 0.6


def test_the_usual_settings_take_no_search() -> None:
    found = tuned(kind_of("histogram"), task_of("number"), seconds=0)
    assert found.trials == 1 and found.loss == found.usual and found.settings == dict(kind_of("histogram").usual)


def test_the_test_rows_are_never_looked_at() -> None:
    task = task_of("two")
    hidden = TableTask(**{**vars(task), "x_test": np.full_like(task.x_test, np.inf), "y_test": task.y_test * np.nan})
    a, b = (tuned(kind_of("linear"), one, seconds=0.5, most=5, seed=3) for one in (task, hidden))
    assert a.settings == b.settings and a.loss == b.loss


def test_losses_are_the_closed_forms() -> None:
    task = task_of("three")
    told = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    assert loss_of(task, told, np.array([0.0, 2.0])) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2, abs=1e-5)
    # A class that a fold did not have is foretold by nobody.
    assert (
        loss_of(task, told[:, :2] / told[:, :2].sum(1, keepdims=True), np.array([2.0, 2.0]), np.array([0.0, 1.0])) > 13
    )
    number = task_of("number")
    assert loss_of(number, np.array([1.0, 2.0]), np.array([1.0, 4.0])) == pytest.approx(np.sqrt(2))


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ConfigError, match="lightgbm"):
        kind_of("ligthgbm")
    with pytest.raises(ConfigError):
        tuned(kind_of("linear"), task_of("two"), count=1)
