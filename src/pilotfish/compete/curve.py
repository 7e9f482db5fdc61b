"""The learning curve: how good the small models are with n labels a class, and where they overtake the large one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.students import DEFAULT_C, Student, by_name, fit_head
from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.task import TextTask
    from pilotfish.compete.watch import Budget, Watch

COUNTS = (0, 8, 32, 128, 512)


@dataclass
class Curve:
    """One student's accuracy by labels a class.

    Attributes:
        key: the student's.
        title: the student's.
        counts: labels a class, rising; the last may be the mean number a class that all rows give.
        correct: (test rows,) a count: the share of seeds in which the row was right.
        seeds: how many draws of the labels each count rests on.
    """

    key: str
    title: str
    counts: list[float] = field(default_factory=list)
    correct: list[NDArray[np.float64]] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    def points(self) -> list[tuple[float, Interval]]:
        """Return (labels a class, accuracy with its bootstrap interval over test rows)."""
        return [(n, mean_interval(c)) for n, c in zip(self.counts, self.correct, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """Return the points as plain data."""
        points = [
            {"labels_a_class": n, "seeds": seeds, "accuracy": interval.to_json()}
            for (n, interval), seeds in zip(self.points(), self.seeds, strict=True)
        ]
        return {"key": self.key, "title": self.title, "points": points}


def mean_labels(task: TextTask) -> float:
    """Return the mean number of training rows a class, rounded to what a reader wants to see."""
    mean = len(task.train) / len(task.labels)
    return float(round(mean)) if mean >= 10 else round(mean, 1)


def mean_interval(correct: NDArray[np.float64]) -> Interval:
    """Return the mean of (rows,) scores with a bootstrap interval; exact where all rows agree."""
    if float(correct.std()) == 0.0:
        from pilotfish.measure.intervals import wilson

        return wilson(float(correct.sum()), len(correct))
    return bootstrap(correct, resamples=2000, method="percentile")


def learning_curves(
    task: TextTask,
    kinds: Sequence[Student],
    watch: Watch,
    budget: Budget,
    *,
    counts: Sequence[int] = COUNTS,
    seeds: int = 3,
    seed: int = 0,
) -> list[Curve]:
    """Fit every student on n labels a class, for each n as far as the data go, over several draws of the rows.

    A class with fewer than n rows gives all it has; an n that most classes cannot give is left out. The penalty is the
    same throughout, since a learner with eight labels has none to spare for tuning. Stops early when half of the time
    budget is spent, or would be by the next fits; the longest come last.
    """
    labels = np.array(task.train_labels, dtype=object)
    by_class = [np.flatnonzero(labels == label) for label in task.labels]
    sizes = sorted(len(rows) for rows in by_class)
    median = sizes[len(sizes) // 2]
    asked = sorted({n for n in counts if n == 0 or n <= median})
    curves = [Curve(student.key, student.title) for student in kinds]
    plan = [(n, seeds if n * len(by_class) <= 5000 else 1) for n in asked if n > 0]
    total = sum(times for _, times in plan) * len(kinds)
    with watch.phase("learning curve: fits of small models", total) as advance:
        for curve, student in zip(curves, kinds, strict=True):
            if 0 in asked and student.dense:
                _add(curve, 0, by_name(task, student), 1)
        took, before = 0.0, 0
        for n, times in plan:
            # A fit takes about as much longer as it has more rows.
            expected = took * n / before if before else 0.0
            if budget.max_seconds is not None and budget.elapsed + expected > 0.5 * budget.max_seconds:
                watch.say(
                    f"learning curve stops before {n} labels a class, which would take over half of --max-seconds"
                )
                break
            started = time.perf_counter()
            for curve, student in zip(curves, kinds, strict=True):
                right = np.zeros(len(task.test))
                for draw in range(times):
                    rng = np.random.default_rng([seed, n, draw])
                    where = np.concatenate([rng.permutation(rows)[:n] for rows in by_class])
                    right += _right(task, student, where)
                    advance(1)
                _add(curve, n, right / times, times)
            took, before = time.perf_counter() - started, n
    return curves


def _add(curve: Curve, n: float, correct: NDArray[np.float64], seeds: int) -> None:
    curve.counts.append(float(n))
    curve.correct.append(correct)
    curve.seeds.append(seeds)


def _right(task: TextTask, student: Student, where: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (test rows,) 1 where a student taught on training rows `where` is right."""
    x, held = student.vectors(task.train, where, task.test)
    head = fit_head(DEFAULT_C, x, [task.train_labels[i] for i in where])
    return np.array([a == b for a, b in zip(head.predict(held), task.test_labels, strict=True)], dtype=np.float64)


@dataclass(frozen=True)
class Crossover:
    """Where a learning curve overtakes a fixed accuracy.

    Attributes:
        labels: labels a class at the crossing, by linear interpolation in log2(1 + n); infinite where it never comes.
        low: the lower end of its 95% interval over test rows; `high` the upper one, infinite where some resamples
            never cross.
        reached: the share of resamples in which the curve crosses within the labels there are.
        first: labels a class of the curve's first point: a crossing there may have come earlier.
    """

    labels: float
    low: float
    high: float
    reached: float
    first: float = 0.0

    @property
    def from_the_start(self) -> bool:
        """Whether the small model is ahead at the fewest labels that were measured."""
        return self.labels <= self.first

    def __str__(self) -> str:
        return f"{_shown(self.labels)} [{_shown(self.low)}, {_shown(self.high)}]"

    def to_json(self) -> dict[str, Any]:
        """Return the numbers; None stands for "not within the labels there are"."""
        names = ("labels", "low", "high", "first")
        values = {name: getattr(self, name) for name in names}
        return {name: (value if np.isfinite(value) else None) for name, value in values.items()} | {
            "reached": self.reached
        }


def _shown(labels: float) -> str:
    return f"{labels:.0f}" if np.isfinite(labels) else "more than there are"


def crossover(
    curve: Curve, large: NDArray[np.float64], rows: NDArray[np.int64], *, resamples: int = 2000, seed: int = 0
) -> Crossover:
    """Find the labels a class from which a small model beats the large one, with a bootstrap over test rows.

    Args:
        curve: the small model's; at least one point.
        large: (rows,) 1 where the large model is right.
        rows: the test rows that `large` speaks of.
        resamples: of the test rows; both models are scored on the same ones.
        seed: of the resampling.

    Raises:
        DataError: the curve has no point.
    """
    if not curve.counts:
        raise DataError("a learning curve without points crosses nothing")
    scores = np.stack([correct[rows] for correct in curve.correct])
    counts = np.array(curve.counts)
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    for i in range(resamples):
        pick = rng.integers(0, len(rows), size=len(rows))
        found[i] = _first(counts, scores[:, pick].mean(axis=1), float(large[pick].mean()))
    at = _first(counts, scores.mean(axis=1), float(large.mean()))
    # "lower"/"higher": an infinite neighbour must not be averaged with a finite one.
    low = float(np.quantile(found, 0.025, method="lower"))
    high = float(np.quantile(found, 0.975, method="higher"))
    return Crossover(at, low, high, float(np.isfinite(found).mean()), float(counts[0]))


def _first(counts: NDArray[np.float64], accuracy: NDArray[np.float64], target: float) -> float:
    """Return the first n at which the interpolated accuracy is above the target."""
    if accuracy[0] > target:
        return float(counts[0])
    x = np.log2(1 + counts)
    for i in range(1, len(counts)):
        if accuracy[i] > target:
            share = (target - accuracy[i - 1]) / (accuracy[i] - accuracy[i - 1])
            return float(2 ** (x[i - 1] + share * (x[i] - x[i - 1])) - 1)
    return float("inf")
