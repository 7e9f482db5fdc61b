"""A large model that reads the rows of a table as text, and whether it goes by what the columns mean.

Sources: rows as sentences: Hegselmann et al. 2023 (TabLLM), section 3.1, "text template"; whether a table was learnt by
heart: Bordt et al. 2024 (Elephants Never Forget), section 4, whose perturbed tables are these with other names.
"""

from __future__ import annotations

import json
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

__all__ = ["Form", "Naming", "Read", "as_text", "read_by", "reader_of", "renamed", "shown_rows"]

Naming = Literal["own", "shuffled", "hidden"]
Form = Literal["sentences", "json"]
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


def as_text(row: Row, columns: Sequence[str], names: Mapping[str, str] | None = None, form: Form = "sentences") -> str:
    """Return a row as text.

    Args:
        row: the row.
        columns: that are shown, in order.
        names: column -> what it is called.
        form: "sentences", a column each: "The age is 39. The plan is basic."; what is empty is unknown. "json", an
            object, what is empty null: what a served model of a table is asked with, too.
    """
    known = names or {}
    if form == "json":
        shown = {known.get(column, column): None if _empty(row.get(column)) else row[column] for column in columns}
        return json.dumps(shown, ensure_ascii=False, default=str)
    parts = []
    for column in columns:
        value = row.get(column)
        told = "unknown" if _empty(value) else str(value).strip()
        parts.append(f"The {known.get(column, column).replace('_', ' ')} is {told}.")
    return " ".join(parts)


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


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
    form: Form = "sentences",
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
        columns: that are shown; None shows all columns of the task.
        form: of a row as text.
        seed: of the rows that are shown, and of shuffled names.
        progress: called with the rows that are answered.

    Raises:
        ConfigError: a number is to be foretold, or shots below 0.
    """
    labeller, shown = reader_of(
        model,
        task,
        shots=shots,
        naming=naming,
        question=question,
        label_names=label_names,
        columns=columns,
        form=form,
        seed=seed,
    )
    told = labeller.predict([shown(row) for row in rows], progress=progress)
    probabilities = None if told.logprobs is None else np.exp(told.logprobs)
    return Read(told.labels, probabilities, told.traces, told.truncated)


def reader_of(
    model: Model,
    task: TableTask,
    *,
    shots: int = 0,
    naming: Naming = "own",
    question: str = INSTRUCTION,
    label_names: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
    form: Form = "sentences",
    seed: int = 0,
) -> tuple[Labeller, Callable[[Row], str]]:
    """Return what asks a model about rows, and what makes a row the text that it is asked with; see `read_by`."""
    if task.kind != "classes" or shots < 0:
        raise ConfigError("a model is asked for classes, with no rows or some shown")
    shown = list(task.table.columns if columns is None else columns)
    names = renamed(shown, naming, seed)

    def text(row: Row) -> str:
        return as_text(row, shown, names, form)

    labeller = Labeller(
        model,
        task.classes,
        names=dict(label_names or {}),
        examples=[
            (text(task.train[row]), str(task.train[row][task.target]).strip()) for row in shown_rows(task, shots, seed)
        ],
        instruction=question,
    )
    return labeller, text


def shown_rows(task: TableTask, count: int, seed: int) -> list[int]:
    """Return the numbers of the training rows that are shown: drawn class by class in turn, in a drawn order."""
    rng = np.random.default_rng(seed)
    by_class: list[list[Any]] = [
        rng.permutation(np.flatnonzero(task.y == code)).tolist() for code in range(len(task.classes))
    ]
    chosen: list[int] = []
    while len(chosen) < count and any(by_class):
        for own in by_class:
            if own and len(chosen) < count:
                chosen.append(own.pop())
    return [int(row) for row in rng.permutation(chosen)] if chosen else []
