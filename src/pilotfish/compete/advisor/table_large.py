"""A large model that reads the rows of a table as JSON: asked with no row shown and with some, each answer kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.graded import Graded
from pilotfish.compete.memo import Memo, identity
from pilotfish.compete.purse import Purse, list_cost
from pilotfish.compete.tables.large import INSTRUCTION, Naming, reader_of, shown_rows
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.tables.task import TableTask
    from pilotfish.compete.watch import Budget, Watch
    from pilotfish.model import Model
    from pilotfish.models.classify import Labeller, Labels

__all__ = ["LargeTable", "large_table"]

_MIN = 20  # rows that say anything


@dataclass(eq=False)
class LargeTable:
    """What a large model made of rows.

    Attributes:
        zero, few: candidates on held-out rows; `few` None where nothing was shown.
        labellers: by the key of the candidate.
        calibrate: (rows,) training rows that it was asked about too.
        right: (rows,) 1 where the better way of asking was right on them.
        shuffled: how much accuracy shuffled names of columns cost, on those rows; None where it was not asked.
    """

    zero: Graded
    few: Graded | None
    labellers: dict[str, Labeller]
    calibrate: NDArray[np.int64]
    right: NDArray[np.float64]
    shuffled: tuple[float, float] | None

    @property
    def best(self) -> Graded:
        """The better way of asking, by the rows to choose by."""
        return self.few if self.few is not None and self.few.chosen_by > self.zero.chosen_by else self.zero


class _Asker:
    def __init__(self, task: TableTask, model: Model, memo: Memo, purse: Purse, watch: Watch) -> None:
        self.task, self.model, self.memo, self.purse, self.watch = task, model, memo, purse, watch
        self.who = identity(model)

    def ask(self, labeller: Labeller, texts: Sequence[str], what: str) -> Labels:
        with self.watch.phase(f"{self.model.name}: {what}", len(texts)) as advance:
            return self.memo.predict(labeller, list(texts), self.who, advance, self.purse)


def large_table(
    task: TableTask,
    model: Model,
    budget: Budget,
    watch: Watch,
    memo: Memo,
    *,
    shots: int,
    test_rows: int,
    calibrate_rows: int,
    question: str | None = None,
    names: Mapping[str, str] | None = None,
    seed: int = 0,
) -> LargeTable | None:
    """Ask a large model which class rows have; None where the budget pays for too few.

    Args:
        task: of classes.
        model: it.
        budget: of time and dollars.
        watch: where it shows.
        memo: where answers are kept.
        shots: rows of each class that are shown in the second way of asking; 0 leaves it out.
        test_rows: held-out rows, at most.
        calibrate_rows: training rows, at most, by which the way of asking and a cascade's threshold are chosen.
        question: the task in words.
        names: class -> what it is called.
        seed: of the rows.
    """
    rng = np.random.default_rng([seed, 3])
    asker = _Asker(task, model, memo, Purse(model, budget), watch)
    how = {"question": question or INSTRUCTION, "label_names": names, "form": "json", "seed": seed}
    count = shots * len(task.classes)
    ways = {"large-zero": 0, **({"large-few": count} if count else {})}
    shown = set(shown_rows(task, count, seed))
    free = rng.permutation([row for row in range(len(task.y)) if row not in shown])
    test = np.sort(rng.permutation(len(task.y_test))[:test_rows])
    held = _afforded(asker, how, ways, free[:calibrate_rows], test, budget)
    if held is None:
        return None
    calibrate, test = held
    candidates: dict[str, Graded] = {}
    labellers: dict[str, Labeller] = {}
    rights: dict[str, NDArray[np.float64]] = {}
    truth = task.labels(task.y[calibrate])
    for key, number in ways.items():
        labeller, text = reader_of(model, task, shots=number, **how)  # type: ignore[arg-type]
        told = asker.ask(labeller, [text(task.train[row]) for row in calibrate.tolist()], f"{key}, to choose by")
        rights[key] = np.array([a == b for a, b in zip(told.labels, truth, strict=False)], np.float64)
        found = asker.ask(labeller, [text(task.test[row]) for row in test.tolist()], f"{key}, held out")
        if len(found.labels) < _MIN:
            break
        score = float(rights[key].mean()) if len(rights[key]) else 0.0
        candidates[key] = _candidate(task, model, key, number, test[: len(found.labels)], found, score)
        labellers[key] = labeller
    if "large-zero" not in candidates:
        return None
    result = LargeTable(candidates["large-zero"], candidates.get("large-few"), labellers, calibrate, np.zeros(0), None)
    best = rights[result.best.key]
    result.calibrate, result.right = calibrate[: len(best)], best
    result.shuffled = _shuffled(asker, how, ways[result.best.key], result)
    return result


def _afforded(
    asker: _Asker,
    how: Mapping[str, object],
    ways: Mapping[str, int],
    calibrate: NDArray[np.int64],
    test: NDArray[np.int64],
    budget: Budget,
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Cut the rows down to what the time pays for, by the speed of a few; dollars are kept by the purse."""
    if not np.isfinite(budget.seconds_left()):
        return calibrate, test
    seconds = 0.0
    for number in ways.values():
        labeller, text = reader_of(asker.model, asker.task, shots=number, **how)  # type: ignore[arg-type]
        texts = [text(asker.task.train[row]) for row in calibrate[:8].tolist()]
        told = asker.ask(labeller, texts, "a few rows, for its speed")
        if not told.labels:
            return None
        seconds += float(np.mean([trace.seconds for trace in told.traces]))
    # A third way, with shuffled names, goes over the rows to choose by.
    wanted = len(calibrate) * (seconds + seconds / len(ways)) + len(test) * seconds
    share = min(1.0, 0.7 * budget.seconds_left() / max(wanted, 1e-9))
    if share * len(test) < _MIN:
        return None
    return calibrate[: max(_MIN, int(share * len(calibrate)))], test[: max(_MIN, int(share * len(test)))]


def _shuffled(asker: _Asker, how: Mapping[str, object], shots: int, found: LargeTable) -> tuple[float, float] | None:
    """Return accuracy with the columns' own names and with one another's, on the rows to choose by."""
    if len(asker.task.table.columns) < 2 or not len(found.calibrate):
        return None
    naming: Naming = "shuffled"
    labeller, text = reader_of(asker.model, asker.task, shots=shots, naming=naming, **how)  # type: ignore[arg-type]
    rows = found.calibrate.tolist()
    told = asker.ask(labeller, [text(asker.task.train[row]) for row in rows], "with the columns' names shuffled")
    truth = asker.task.labels(asker.task.y[found.calibrate])
    if len(told.labels) < len(rows):
        return None
    return float(found.right.mean()), float(np.mean([a == b for a, b in zip(told.labels, truth, strict=True)]))


def _candidate(
    task: TableTask, model: Model, key: str, shots: int, rows: NDArray[np.int64], told: Labels, score: float
) -> Graded:
    truth = task.labels(task.y_test[rows])
    costs = [list_cost(trace, model) for trace in told.traces]
    known = [cost for cost in costs if cost is not None]
    fresh = [trace.seconds for trace in told.traces if not any(call.cached for call in trace.calls)]
    tokens = sum(trace.usage.tokens_in + trace.usage.tokens_out for trace in told.traces)
    return Graded(
        key,
        f"{model.name} zero-shot" if not shots else f"{model.name}, {shots} rows shown",
        "large",
        rows,
        told.labels,
        truth,
        chosen_by=score,
        probabilities=None if told.logprobs is None else np.exp(told.logprobs),
        seconds=float(np.mean(fresh)) if fresh else None,
        p50=float(np.quantile(fresh, 0.5)) if fresh else None,
        p95=float(np.quantile(fresh, 0.95)) if fresh else None,
        dollars=float(np.mean(known)) if len(known) == len(costs) and known else None,
        weights=(
            sum(int(p.numel() * p.element_size()) for p in model.model.parameters())
            if isinstance(model, LocalModel)
            else 0
        ),
        details={"tokens_per_row": round(tokens / max(1, len(rows)), 1), "failed": told.failures, "shots": shots},
        scores=np.array([a == b for a, b in zip(told.labels, truth, strict=True)], np.float64),
        measure="accuracy",
    )
