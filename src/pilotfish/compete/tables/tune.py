"""Settings that suit a table, looked for in folds of its training rows within a budget of seconds.

Source: tree-structured Parzen estimators: Bergstra et al. 2011; Akiba et al. 2019 (Optuna). A trial whose first folds
are worse than most trials' were is given up (the median rule).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.tables.fitters import Fitted
from pilotfish.compete.tables.kinds import Kind
from pilotfish.compete.tables.task import TableTask
from pilotfish.errors import ConfigError
from pilotfish.measure.folds import folds

__all__ = ["Tuned", "loss_of", "out_of_fold", "tuned"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tuned:
    """A kind of model with its settings.

    Attributes:
        kind: its name.
        settings: that were chosen.
        loss: in folds: log-loss in nats, or the root of the mean squared error.
        usual: the same with the usual settings, which are the first trial.
        trials: that came to their end, and those that were given up.
        seconds: of looking.
        fitted: on all training rows; `fit_seconds` what that took.
    """

    kind: str
    settings: dict[str, Any]
    loss: float
    usual: float
    trials: int
    pruned: int
    seconds: float
    fitted: Fitted
    fit_seconds: float


def tuned(
    kind: Kind,
    task: TableTask,
    *,
    seconds: float = 60.0,
    most: int = 200,
    count: int = 4,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Tuned:
    """Look for settings, then fit on all training rows.

    The usual settings are tried first, whatever they take, so there is always one to go by.

    Args:
        kind: of model.
        task: its training rows alone are looked at.
        seconds: of looking; a trial under way at their end is not waited for beyond its fold. 0 takes the usual ones.
        most: trials.
        count: of folds; of classes each is stratified.
        seed: of folds, of the search and of the models.
        progress: called after each trial.

    Raises:
        ConfigError: fewer than two folds, or seconds below 0.
    """
    if count < 2 or seconds < 0 or most < 1:
        raise ConfigError("two folds or more, one trial or more, and no seconds below 0")
    begun = time.perf_counter()
    parts = _parts(task, count, seed)
    settings = dict(kind.usual)
    usual = best = float(np.mean([_fold(kind, task, settings, part, seed) for part in parts]))
    done = pruned = 0
    if seconds:
        study, optuna = _study(seed)
        while done + pruned < most - 1 and time.perf_counter() - begun < seconds:
            trial = study.ask()
            given = kind.suggest(trial)
            found: list[float] = []
            state = optuna.trial.TrialState.COMPLETE
            for number, part in enumerate(parts):
                found.append(_fold(kind, task, given, part, seed))
                trial.report(float(np.mean(found)), number)
                late = time.perf_counter() - begun > seconds and number < len(parts) - 1
                if late or (number < len(parts) - 1 and trial.should_prune()):
                    state = optuna.trial.TrialState.PRUNED
                    break
            ended = state == optuna.trial.TrialState.COMPLETE
            study.tell(trial, float(np.mean(found)) if ended else None, state=state)
            done, pruned = done + ended, pruned + (not ended)
            if ended and float(np.mean(found)) < best:
                best, settings = float(np.mean(found)), given
            if progress:
                progress(1)
    looked = time.perf_counter() - begun
    start = time.perf_counter()
    fitted = kind.fit(task.x, task.y, task.categorical, task.kind, settings, seed)
    fit_seconds = time.perf_counter() - start
    return Tuned(kind.name, settings, best, usual, done + 1, pruned, looked, fitted, fit_seconds)


def out_of_fold(kind: Kind, task: TableTask, settings: dict[str, Any], *, count: int = 4, seed: int = 0) -> Floats:
    """Return what training rows are foretold by models that did not learn from them.

    Returns:
        (training rows, classes) probabilities, a class that a fold lacks at 1e-6; or (training rows,) numbers.
    """
    whole = np.zeros((len(task.y), len(task.classes))) if task.kind == "classes" else np.zeros(len(task.y))
    for learnt, held in _parts(task, count, seed):
        fitted = kind.fit(task.x[learnt], task.y[learnt], task.categorical, task.kind, settings, seed)
        told = fitted.predict(task.x[held])
        if task.kind == "classes":
            whole[np.ix_(held, np.arange(len(task.classes)))] = _whole(task, told, np.unique(task.y[learnt]))
        else:
            whole[held] = told
    return whole


def _whole(task: TableTask, predicted: Floats, known: Floats) -> Floats:
    """Return probabilities of all classes, of those that the columns do not stand for 1e-6."""
    found = np.full((len(predicted), len(task.classes)), 1e-6)
    found[:, known.astype(int)] = np.maximum(predicted, 1e-6)
    found /= found.sum(axis=1, keepdims=True)
    return found


def _study(seed: int) -> tuple[Any, Any]:
    optuna = need("optuna", "tables")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4)
    return optuna.create_study(sampler=sampler, pruner=pruner), optuna


def _parts(task: TableTask, count: int, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    if task.kind == "number":
        return list(folds(np.arange(len(task.y)), count, seed))
    selection = need("sklearn.model_selection", "tables")
    least = int(np.bincount(task.y.astype(int)).min())
    count = max(2, min(count, least))
    if least < 2:  # a class of one row: it is learnt from in one fold's absence only
        return list(folds(np.arange(len(task.y)), count, seed))
    cut = selection.StratifiedKFold(count, shuffle=True, random_state=seed)
    return [(np.asarray(a), np.asarray(b)) for a, b in cut.split(task.x, task.y.astype(int))]


def _fold(kind: Kind, task: TableTask, settings: dict[str, Any], part: Any, seed: int) -> float:
    learnt, held = part
    fitted = kind.fit(task.x[learnt], task.y[learnt], task.categorical, task.kind, settings, seed)
    return loss_of(task, fitted.predict(task.x[held]), task.y[held], np.unique(task.y[learnt]))


def loss_of(task: TableTask, predicted: Floats, y: Floats, known: Floats | None = None) -> float:
    """Return the mean log-loss of probabilities in nats, or the root of the mean squared error of numbers.

    Args:
        task: what is foretold.
        predicted: (rows, classes) or (rows,).
        y: (rows,) the truth.
        known: the classes that the columns stand for; None is all. A class that has none gets a probability of 1e-6.
    """
    if task.kind == "number":
        return float(np.sqrt(np.mean((predicted - y) ** 2)))
    whole = _whole(task, predicted, np.arange(len(task.classes), dtype=np.float64) if known is None else known)
    return float(-np.mean(np.log(whole[np.arange(len(y)), y.astype(int)])))
