"""The small models of a table: each kind tuned within its share of the time, kept, measured and timed."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.candidate import Candidate
from pilotfish.compete.graded import Graded
from pilotfish.compete.tables.fitters import Fitted
from pilotfish.compete.tables.kinds import KINDS, Kind
from pilotfish.compete.tables.measured import one_row, worth
from pilotfish.compete.tables.model import TableModel
from pilotfish.compete.tables.tune import out_of_fold, tuned
from pilotfish.measure.meters import Meter, measure_latency
from pilotfish.rows._atomic import atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.tables.task import TableTask
    from pilotfish.compete.watch import Watch

__all__ = ["TITLES", "TRANSPARENT", "SmallTable", "baseline", "graded", "small_table", "small_tables"]

TRANSPARENT = ("linear", "additive")
TITLES = {
    "linear": "linear model",
    "histogram": "boosted trees (scikit-learn)",
    "lightgbm": "boosted trees (LightGBM)",
    "xgboost": "boosted trees (XGBoost)",
    "catboost": "boosted trees (CatBoost)",
    "additive": "additive model (EBM)",
}
_PATIENCE = 1.0  # seconds of each of two timings


@dataclass(eq=False)
class SmallTable:
    """A kind of model, fitted.

    Attributes:
        kind: of model.
        settings: that were found.
        loss: in folds of the training rows, by which kinds are chosen.
        fitted: on all training rows.
        model: as it is kept and served.
        candidate: what it makes of the held-out rows.
        predicted: (held-out rows, classes) probabilities, or (held-out rows,) numbers.
    """

    kind: Kind
    settings: dict[str, Any]
    loss: float
    fitted: Fitted
    model: TableModel
    candidate: Graded
    predicted: NDArray[np.float64]

    def unseen(self, task: TableTask, seed: int) -> NDArray[np.float64]:
        """Return (training rows, classes): the probabilities by models that did not learn from the row."""
        return out_of_fold(self.kind, task, self.settings, seed=seed)


def small_table(task: TableTask, kind: Kind, seconds: float, kept: Path, seed: int) -> SmallTable:
    """Tune a kind of model, or take what an earlier run found, and measure it.

    Args:
        task: what is foretold.
        kind: of model.
        seconds: of looking for settings.
        kept: the file that holds what was found for this very task, or will.
        seed: of folds and search.
    """
    begun = time.perf_counter()
    held = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else None
    if held is None:
        found = tuned(kind, task, seconds=seconds, seed=seed)
        held = {"settings": found.settings, "loss": found.loss, "usual": found.usual, "trials": found.trials}
        held["seconds"] = found.seconds
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic(kept) as file:
            file.write(json.dumps(held).encode())
        fitted = found.fitted
    else:
        fitted = kind.fit(task.x, task.y, task.categorical, task.kind, held["settings"], seed)
    model = TableModel.of(task, fitted, kind.name)
    predicted = fitted.predict(task.x_test)
    one = graded(task, kind.name, TITLES[kind.name], predicted, chosen_by=-float(held["loss"]))
    one.weights = _bytes(model)
    one.details |= {"trials": held["trials"], "loss_in_folds": held["loss"], "loss_untuned": held["usual"]}
    one.details["tuning_seconds"] = round(held["seconds"], 2)
    one.details |= {
        name: interval.to_json() for name, interval in worth(task, predicted, resamples=1000).measures.items()
    }
    _time(one, task, fitted, model)
    one.details["fit_and_timing_seconds"] = round(time.perf_counter() - begun, 2)
    return SmallTable(kind, held["settings"], float(held["loss"]), fitted, model, one, predicted)


def graded(
    task: TableTask,
    key: str,
    title: str,
    predicted: NDArray[np.float64],
    *,
    rows: NDArray[np.int64] | None = None,
    chosen_by: float = 0.0,
) -> Graded:
    """Return a candidate by what it foretells: right or wrong of classes; of numbers the part of R² that a row gives.

    The mean of 1 - (error² / variance of the held-out values) over the rows is R².
    """
    where = np.arange(len(task.y_test)) if rows is None else rows
    truth = task.y_test[where]
    if task.kind == "classes":
        answers: list[str | None] = list(task.labels(predicted.argmax(axis=1)))
        scores = (predicted.argmax(axis=1) == truth).astype(np.float64)
        told, measure = task.labels(truth), "accuracy"
    else:
        spread = float(np.var(task.y_test)) or 1.0
        scores = 1.0 - (predicted - truth) ** 2 / spread
        answers, told, measure = [f"{one:.6g}" for one in predicted], [f"{one:.6g}" for one in truth], "R²"
    probabilities = predicted if task.kind == "classes" else None
    return Graded(
        key,
        title,
        "small",
        where,
        answers,
        told,
        chosen_by=chosen_by,
        probabilities=probabilities,
        scores=scores,
        measure=measure,
    )


def baseline(task: TableTask) -> Graded:
    """Return what always says the commonest class, or the mean."""
    if task.kind == "classes":
        counts = np.bincount(task.y.astype(int), minlength=len(task.classes))
        told = np.tile(counts / counts.sum(), (len(task.y_test), 1))
        title = f"always {task.classes[int(counts.argmax())]!r}"
    else:
        told, title = np.full(len(task.y_test), float(task.y.mean())), "always the mean"
    one = graded(task, "baseline", title, told)
    one.family, one.seconds, one.p50 = "baseline", 0.0, 0.0
    return one


def small_tables(
    task: TableTask, kinds: Sequence[str], seconds: float, folder: Path, watch: Watch, seed: int, *, limited: bool
) -> tuple[list[SmallTable], list[str]]:
    """Return each kind of model, tuned within its share of the seconds, and the kinds that there was no time for.

    What one kind leaves of its share, or takes beyond it (the usual settings are tried whatever that takes), the others
    share. The first kind is there in any case, and all are where the time is not `limited`.
    """
    found: list[SmallTable] = []
    late: list[str] = []
    until = time.perf_counter() + seconds
    with watch.phase(f"tuning {len(kinds)} kinds of model", len(kinds)) as advance:
        for number, name in enumerate(kinds):
            left = until - time.perf_counter()
            if limited and found and left <= 0:
                late.append(name)
            else:
                share = max(left, 0.0) / (len(kinds) - number)
                found.append(small_table(task, KINDS[name], share, folder / f"{name}.json", seed))
            advance(1)
    if late:
        watch.say(f"there was no time for {', '.join(late)}")
    return found, late


def _time(one: Candidate, task: TableTask, fitted: Fitted, model: TableModel) -> None:
    rows = task.test[:200]
    single = one_row(task, fitted.predict, rows, _PATIENCE)
    with Meter() as meter:
        many = measure_latency(model.predict, rows, batch=min(200, len(rows)), max_seconds=_PATIENCE)
    one.p50, one.p95, one.seconds = single.p50, single.p95, 1.0 / many.rows_per_second
    energy = meter.reading.energy
    one.joules, one.joules_kind = energy.joules / (sum(many.rows) + min(200, len(rows))), energy.kind


def _bytes(model: TableModel) -> int:
    """Return the bytes of the model as it is kept."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
