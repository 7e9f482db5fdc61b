"""A large model that reads the rows of a table as text, and whether it goes by what the columns mean.

Sources: rows as sentences: Hegselmann et al. 2023 (TabLLM), section 3.1, "text template"; whether a table was learnt by
heart: Bordt et al. 2024 (Elephants Never Forget), section 4, whose perturbed tables are these with other names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.tables.task import TableTask
from pilotfish.errors import ConfigError
from pilotfish.model import Model, Trace
from pilotfish.models.classify.labeller import Labeller
from pilotfish.rows._row import Row

__all__ = ["Naming", "Read", "as_text", "read_by", "renamed"]

Naming = Literal["own", "shuffled", "hidden"]
INSTRUCTION = "A row of a table is described below. Say which category it belongs to, by its name and nothing else."


@dataclass(frozen=True)
class Read:
    """What a model said of rows.

    Attributes:
        labels: one a row; None where the answer named none.
        probabilities: (rows, classes) in the task's order, or None of a black box.
        traces: one a row.
        cut: rows that did not fit whole.
    """

    labels: list[str | None]
    probabilities: NDArray[np.float64] | None
    traces: list[Trace]
    cut: int


def as_text(row: Row, columns: Sequence[str], names: Mapping[str, str] | None = None) -> str:
    """Return a row as sentences, a column each: "The age is 39. The plan is basic."; what is empty is unknown."""
    known = names or {}
    parts = []
    for column in columns:
        value = row.get(column)
        shown = "unknown" if value is None or (isinstance(value, str) and not value.strip()) else str(value).strip()
        parts.append(f"The {known.get(column, column).replace('_', ' ')} is {shown}.")
    return " ".join(parts)


def renamed(columns: Sequence[str], naming: Naming, seed: int = 0) -> dict[str, str]:
    """Return the names that columns are shown by: their own, one another's (none keeps its own), or numbers.

    Raises:
        ConfigError: another naming, or one column that has no other to change with.
    """
    if naming not in get_args(Naming):
        raise ConfigError(f"columns are named by {', '.join(get_args(Naming))}, not {naming!r}")
    if naming == "own":
        return {column: column for column in columns}
    if naming == "hidden":
        return {column: f"column {number}" for number, column in enumerate(columns, 1)}
    if len(columns) < 2:
        raise ConfigError("the names of one column cannot be shuffled")
    order = np.random.default_rng(seed).permutation(len(columns)).tolist()
    # Each takes the name of the next one in a drawn circle, so that none keeps its own.
    return {columns[a]: columns[b] for a, b in zip(order, [*order[1:], order[0]], strict=True)}


def read_by(
    model: Model,
    task: TableTask,
    rows: Sequence[Row],
    *,
    shots: int = 0,
    naming: Naming = "own",
    question: str = INSTRUCTION,
    label_names: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Read:
    """Ask a model which class rows have.

    Args:
        model: one whose weights are here gives probabilities; any other writes an answer.
        task: of classes; the rows that are shown are drawn from its training rows.
        rows: that are asked about.
        shots: rows with their class that are shown before, as many of each class as possible.
        naming: how columns are called.
        question: the task in words.
        label_names: what classes are called in the prompt.
        columns: column -> what it is called is its own name; None shows all columns of the task.
        seed: of the rows that are shown, and of shuffled names.
        progress: called with the rows that are answered.

    Raises:
        ConfigError: a number is to be foretold, or shots below 0.
    """
    if task.kind != "classes" or shots < 0:
        raise ConfigError("a model is asked for classes, with no rows or some shown")
    shown = list(task.table.columns if columns is None else columns)
    names = renamed(shown, naming, seed)
    labeller = Labeller(
        model,
        task.classes,
        names=dict(label_names or {}),
        examples=[(as_text(row, shown, names), str(row[task.target]).strip()) for row in _shots(task, shots, seed)],
        instruction=question,
    )
    told = labeller.predict([as_text(row, shown, names) for row in rows], progress=progress)
    probabilities = None if told.logprobs is None else np.exp(told.logprobs)
    return Read(told.labels, probabilities, told.traces, told.truncated)


def _shots(task: TableTask, count: int, seed: int) -> list[Row]:
    """Return training rows, drawn class by class in turn, in a drawn order."""
    rng = np.random.default_rng(seed)
    by_class: list[list[Any]] = [
        rng.permutation(np.flatnonzero(task.y == code)).tolist() for code in range(len(task.classes))
    ]
    chosen: list[int] = []
    while len(chosen) < count and any(by_class):
        for own in by_class:
            if own and len(chosen) < count:
                chosen.append(own.pop())
    return [task.train[i] for i in rng.permutation(chosen).tolist()] if chosen else []
