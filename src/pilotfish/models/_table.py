"""Rows of columns as a matrix of numbers: what reads as a number is one, other values have codes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.rows._row import need_columns

__all__ = ["Table", "row_of"]


@dataclass(frozen=True)
class Table:
    """Columns, and of those that hold no numbers the code of each value: the commoner it was, the lower."""

    columns: tuple[str, ...]
    codes: dict[str, dict[str, int]]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
        """Learn from rows which columns are numbers and what values the others have.

        Raises:
            DataError: no column, or a row lacks one.
        """
        if not columns:
            raise DataError("a tree needs at least one column to go by")
        codes: dict[str, dict[str, int]] = {}
        for name in columns:
            for row in rows:
                if name not in row:
                    need_columns(row, name)
            values = [row[name] for row in rows if not _is_missing(row[name])]
            if any(_number(value) is None for value in values):
                counts = Counter(str(value) for value in values)
                ranked = sorted(counts, key=lambda value: (-counts[value], value))
                codes[name] = {value: code for code, value in enumerate(ranked)}
        return cls(tuple(columns), codes)

    def matrix(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Return (rows, columns) float64, NaN where a value is missing or was never seen.

        Raises:
            DataError: a row lacks a column.
        """
        found = np.full((len(rows), len(self.columns)), np.nan)
        for i, row in enumerate(rows):
            for j, name in enumerate(self.columns):
                if name not in row:
                    need_columns(row, name)
                value = row[name]
                if _is_missing(value):
                    continue
                known = self.codes.get(name)
                number = _number(value) if known is None else known.get(str(value))
                if number is not None:
                    found[i, j] = number
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"columns": list(self.columns), "codes": self.codes}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Table:
        """Read what `to_json` gave."""
        codes = {str(name): {str(k): int(v) for k, v in own.items()} for name, own in told["codes"].items()}
        return cls(tuple(str(name) for name in told["columns"]), codes)


def row_of(text: str) -> dict[str, Any]:
    """Return the row that a text is: a JSON object of columns.

    Raises:
        DataError: it is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DataError(f"a model of a table is asked with a JSON object of columns, not {text[:40]!r}")
    return found


def _is_missing(value: Any) -> bool:
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    return isinstance(value, float) and math.isnan(value)


def _number(value: Any) -> float | None:
    """Return a number, also of a text that reads as one; None for another value."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
