"""Rows to columns and back: Ray Data hands a stage a dict of arrays and wants one back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.rows._row import Rows

Columns = Mapping[str, Any]


def to_rows(columns: Columns) -> Rows:
    """Return one dict a row of plain Python values.

    Raises:
        DataError: the columns differ in length.
    """
    plain = {name: values.tolist() if hasattr(values, "tolist") else list(values) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in plain.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns of a batch differ in length: {lengths}")
    return [dict(zip(plain, cells, strict=True)) for cells in zip(*plain.values(), strict=True)]


def to_columns(rows: Rows, like: Columns) -> dict[str, NDArray[Any]]:
    """Return one array a column; a cell that a row lacks is None. Without rows: the columns of `like`, empty."""
    if not rows:
        return {name: np.asarray(values)[:0] for name, values in like.items()}
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: _array([row.get(name) for row in rows]) for name in names}


def _array(cells: Sequence[Any]) -> NDArray[Any]:
    if all(isinstance(cell, bool) for cell in cells) or all(
        isinstance(cell, int | float | np.number) and not isinstance(cell, bool) for cell in cells
    ):
        return np.asarray(cells)
    # An array of objects holds anything; numpy would pad text and choke on lists of unequal length.
    column = np.empty(len(cells), dtype=object)
    for place, cell in enumerate(cells):
        column[place] = cell
    return column
