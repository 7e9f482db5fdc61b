"""Numbers of a column, gathered in a first pass: 8 bytes a row in a file, and which group each row is of."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._row import Row

__all__ = ["gathered", "number"]


def gathered(
    rows: Iterator[Row], column: str, by: str | None, folder: Path
) -> tuple[NDArray[np.float64], NDArray[np.int32], list[Any]]:
    """Return the numbers (rows,), NaN where a row has none; the group of each, and the groups' values.

    The numbers lie in a file of the folder and are read as they are needed.
    """
    path = folder / "values.f8"
    places: dict[Any, int] = {}
    groups = array("i")
    with path.open("wb") as file:
        for row in rows:
            value = number(row.get(column))
            file.write(np.float64(np.nan if value is None else value).tobytes())
            groups.append(0 if by is None else places.setdefault(_key(row.get(by)), len(places)))
    found = np.frombuffer(groups, dtype=np.int32) if len(groups) else np.zeros(0, np.int32)
    values = np.memmap(path, np.float64, mode="r") if len(groups) else np.zeros(0)
    return values, found, list(places) or [None]


def number(value: Any) -> float | None:
    """Return a number that is one; infinity is, text and NaN are not."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(value)


def _key(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
