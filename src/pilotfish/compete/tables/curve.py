"""The learning curve of a tabular model, in rows: how many it takes to overtake a large model that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pilotfish.compete.curve import Curve
from pilotfish.compete.tables.kinds import Kind
from pilotfish.compete.tables.task import TableTask
from pilotfish.compete.watch import Budget

__all__ = ["COUNTS", "row_curve"]

COUNTS = (16, 32, 64, 128, 256, 512, 1024, 4096, 16384)


def row_curve(
    task: TableTask,
    kind: Kind,
    settings: Mapping[str, Any],
    *,
    counts: Sequence[int] = COUNTS,
    seeds: int = 3,
    seed: int = 0,
    budget: Budget | None = None,
    share: float = 1.0,
    title: str = "",
) -> Curve:
    """Fit a kind of model on ever more training rows, each count with several draws of them.

    The settings are the same throughout: a learner with 16 rows has none to spare for tuning. Counts beyond what there
    is are left out; the last point is all rows. It stops early when the time is up.

    Args:
        task: of classes; accuracy is measured on its held-out rows.
        kind: of model.
        settings: of it.
        counts: rows.
        seeds: draws of the rows for each count; rows of each class are drawn so that none is missing.
        seed: of the draws.
        budget: None has no limit.
        share: of the time that is left when it begins, which it may take.
        title: what a reader sees; the kind's name where it is not given.

    Returns:
        A curve whose counts are rows, not labels a class.
    """
    left = budget.seconds_left() * share if budget is not None else float("inf")
    until = (budget.elapsed + left) if budget is not None else float("inf")
    curve = Curve(kind.name, title or kind.name)
    classes = [np.flatnonzero(task.y == code) for code in range(len(task.classes))]
    asked = [count for count in counts if len(classes) * 2 <= count < len(task.y)]
    for count in [*asked, len(task.y)]:
        whole = count == len(task.y)
        right = np.zeros(len(task.y_test))
        done = 0
        for draw in range(1 if whole else seeds):
            if budget is not None and budget.elapsed > until:
                break
            where = np.arange(len(task.y)) if whole else _drawn(classes, count, [seed, count, draw])
            fitted = kind.fit(task.x[where], task.y[where], task.categorical, task.kind, dict(settings), seed)
            right += fitted.predict(task.x_test).argmax(axis=1) == task.y_test
            done += 1
        if done:
            curve.counts.append(float(count))
            curve.correct.append(right / done)
            curve.seeds.append(done)
    return curve


def _drawn(classes: Sequence[Any], count: int, seed: Sequence[int]) -> Any:
    """Return `count` training rows, drawn at random, two of each class among them at least."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(rows) for rows in classes]
    must = np.concatenate([order[:2] for order in orders])
    rest = rng.permutation(np.concatenate([order[2:] for order in orders]))
    return np.concatenate([must, rest[: max(0, count - len(must))]])
