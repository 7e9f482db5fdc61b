"""What a model of a table is worth on the rows that were held out, and how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.tables.task import TableTask
from pilotfish.errors import DataError
from pilotfish.measure.curve import area
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap, wilson
from pilotfish.measure.meters import Latency, measure_latency
from pilotfish.rows._row import Row

__all__ = ["MEASURES", "Worth", "above", "one_row", "value_of", "worth"]

Floats = NDArray[np.float64]
# Of each kind the first is what candidates are compared by: the higher the better.
MEASURES = {"classes": ("auc", "accuracy", "log-likelihood"), "number": ("r2", "-rmse", "-mae")}


@dataclass(frozen=True)
class Worth:
    """Measures with their intervals.

    Attributes:
        measures: name -> interval; see `MEASURES`. The higher the better, so errors have a minus.
        rows: that they are of.
    """

    measures: dict[str, Interval]
    rows: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def worth(
    task: TableTask, predicted: Floats, y: Floats | None = None, *, seed: int = 0, resamples: int = 2000
) -> Worth:
    """Return what predictions of the held-out rows are worth.

    Args:
        task: what is foretold.
        predicted: (rows, classes) probabilities, or (rows,) numbers.
        y: (rows,) the truth; None is that of all held-out rows.
        seed: of the bootstrap.
        resamples: of it.
    """
    truth = task.y_test if y is None else y
    table = _table(predicted, truth)
    found = {}
    for name in MEASURES[task.kind]:
        if name == "accuracy":
            right = predicted.argmax(axis=1) == truth
            found[name] = wilson(float(right.sum()), len(right))
        else:
            how: dict[str, Any] = {"method": "percentile", "seed": seed, "resamples": resamples}
            found[name] = bootstrap(table, partial(value_of, name), **how)
    return Worth(found, len(truth))


def above(one: Floats, other: Floats, y: Floats, measure: str, *, seed: int = 0, resamples: int = 2000) -> Interval:
    """Return by how much one model's predictions are better than another's of the same rows; paired."""
    return paired_bootstrap(
        _table(one, y),
        _table(other, y),
        partial(value_of, measure),
        method="percentile",
        seed=seed,
        resamples=resamples,
    )


def _table(predicted: Floats, y: Floats) -> Floats:
    columns = predicted[:, None] if predicted.ndim == 1 else predicted
    return np.concatenate([y[:, None], columns], axis=1)


def value_of(measure: str, rows: Floats) -> float:
    """Return a measure of rows of (truth, prediction or probabilities).

    The area of more than two classes is the mean over the classes that the rows have, each against all others (Fawcett
    2006); rows of one class have none: 0.5.

    Raises:
        DataError: no such measure.
    """
    y, told = rows[:, 0], rows[:, 1:]
    if measure == "auc":
        classes = [1] if told.shape[1] == 2 else range(told.shape[1])
        found = [area(told[:, code], y == code) for code in classes if 0 < (y == code).sum() < len(y)]
        return float(np.mean(found)) if found else 0.5
    if measure == "accuracy":
        return float((told.argmax(axis=1) == y).mean())
    if measure == "log-likelihood":
        return float(np.mean(np.log(np.maximum(told[np.arange(len(y)), y.astype(int)], 1e-6))))
    gap = told[:, 0] - y
    if measure == "-rmse":
        return float(-np.sqrt(np.mean(gap**2)))
    if measure == "-mae":
        return float(-np.mean(np.abs(gap)))
    if measure == "r2":
        spread = float(np.mean((y - y.mean()) ** 2))
        return 1 - float(np.mean(gap**2)) / spread if spread > 0 else 0.0
    raise DataError(f"no measure is called {measure!r}")


def one_row(task: TableTask, predict: Callable[[Floats], Floats], rows: Sequence[Row], seconds: float = 2.0) -> Latency:
    """Return how long single rows take from their columns to the answer, reading them included."""
    return measure_latency(lambda some: predict(task.table.matrix(some)), list(rows[:500]), max_seconds=seconds)
