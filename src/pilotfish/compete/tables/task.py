"""A table to learn from: columns of numbers and of categories, a column to foretell, and rows that are held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.models._table import Table
from pilotfish.rows._row import Row
from pilotfish.rows.split import split

__all__ = ["Kind", "TableTask", "table_task"]

Kind = Literal["classes", "number"]
_MOST = 50  # different values of a target that is asked to be classes


@dataclass(frozen=True, eq=False)
class TableTask:
    """What is to be foretold, split before anything learns.

    Attributes:
        kind: classes, or a number.
        target: the column.
        table: the other columns; what values they have is known from the training rows alone.
        classes: sorted; none of a number.
        train, test: the rows themselves.
        x, y: (rows, columns) and (rows,) of the training rows; y is the number of a class, or the number.
        x_test, y_test: likewise of the others.
        left_out: rows without a target.
    """

    kind: Kind
    target: str
    table: Table
    classes: tuple[str, ...]
    train: list[Row]
    test: list[Row]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    x_test: NDArray[np.float64]
    y_test: NDArray[np.float64]
    left_out: int = 0

    @property
    def categorical(self) -> list[int]:
        """The places of the columns of categories."""
        return [place for place, name in enumerate(self.table.columns) if name in self.table.codes]

    def labels(self, y: NDArray[np.float64]) -> list[str]:
        """Return the classes' names."""
        return [self.classes[int(one)] for one in y]


def table_task(
    rows: Sequence[Row],
    target: str,
    *,
    columns: Sequence[str] | None = None,
    kind: Kind | None = None,
    test: float = 0.2,
    held_out: Sequence[Row] | None = None,
    group: str | None = None,
    seed: int = 0,
) -> TableTask:
    """Return rows as a task.

    Args:
        rows: all of them.
        target: the column to foretell. Rows where it is empty are left out.
        columns: to go by; None for all others.
        kind: None decides: a number where the target is one everywhere and has more than 20 values, else classes.
        test: the share that is held out; of classes stratified.
        held_out: rows that are held out instead; all of `rows` are learnt from then.
        group: a column of which no value straddles the split; it is not gone by.
        seed: of the split.

    Raises:
        ConfigError: no such column, or a share that is none.
        DataError: too few rows, one class, too many, or a class with a single row.
    """
    if not rows:
        raise DataError("a table needs rows")
    rows, own = [*rows, *(held_out or ())], len(rows)
    known = list(dict.fromkeys(name for row in rows for name in row))
    for name in [target, *([] if columns is None else columns), *([] if group is None else [group])]:
        if name not in known:
            raise ConfigError(f"no column {name!r}; there are {', '.join(map(repr, known[:20]))}")
    names = [name for name in (known if columns is None else columns) if name not in (target, group)]
    whole = [{name: row.get(name) for name in known} for row in rows]
    kept = [row for row in whole if not _empty(row[target])]
    learnt = sum(not _empty(row[target]) for row in whole[:own])
    values = [row[target] for row in kept]
    kind = _kind(values) if kind is None else kind
    if len(kept) < 10:
        raise DataError(f"{len(kept)} rows with a value in {target!r}: too few to learn from and to measure on")
    y, classes = _targets(values, kind, target)
    parts = _cut(kept, y, kind, learnt if held_out is not None else None, test, group, seed)
    train, held = parts["train"], parts["test"]
    if kind == "classes" and len(set(y[train].tolist())) < len(classes):
        raise DataError(f"a class of {target!r} has no row to learn from: {_rare(values)}")
    table = Table.of([kept[i] for i in train], names)
    return TableTask(
        kind,
        target,
        table,
        classes,
        [kept[i] for i in train],
        [kept[i] for i in held],
        table.matrix([kept[i] for i in train]),
        y[train],
        table.matrix([kept[i] for i in held]),
        y[held],
        len(whole) - len(kept),
    )


def _cut(
    rows: Sequence[Row],
    y: NDArray[np.float64],
    kind: Kind,
    learnt: int | None,
    test: float,
    group: str | None,
    seed: int,
) -> dict[str, NDArray[np.int64]]:
    if learnt is not None:
        return {"train": np.arange(learnt), "test": np.arange(learnt, len(rows))}
    return split(
        len(rows),
        {"train": 1 - test, "test": test},
        seed,
        stratify=[int(one) for one in y] if kind == "classes" and group is None else None,
        group=None if group is None else [str(row[group]) for row in rows],
    )


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value != value  # noqa: PLR0124 NaN


def _kind(values: Sequence[Any]) -> Kind:
    numbers = [_number(value) for value in values]
    return "number" if all(one is not None for one in numbers) and len(set(numbers)) > 20 else "classes"


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _targets(values: Sequence[Any], kind: Kind, target: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    if kind == "number":
        numbers = [_number(value) for value in values]
        for value, number in zip(values, numbers, strict=True):
            if number is None or not np.isfinite(number):
                raise DataError(f"column {target!r}: {value!r} is no number")
        return np.array(numbers, np.float64), ()
    names = sorted({str(value).strip() for value in values})
    if not 2 <= len(names) <= _MOST:
        raise DataError(f"column {target!r} has {len(names)} different values: classes are 2 to {_MOST}")
    codes: Mapping[str, int] = {name: code for code, name in enumerate(names)}
    return np.array([codes[str(value).strip()] for value in values], np.float64), tuple(names)


def _rare(values: Sequence[Any]) -> str:
    counts = Counter(str(value).strip() for value in values)
    return ", ".join(repr(name) for name, count in counts.items() if count < 2) or "they are few"
