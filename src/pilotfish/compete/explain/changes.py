"""What would have to be otherwise for a model to say something else: the fewest columns, with values that occur.

Source: Wachter et al. 2018 (Counterfactual Explanations without Opening the Black Box); values of the nearest rows of
the wanted class alone, so that what is proposed is not made up: Keane and Smyth 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError

__all__ = ["Change", "changes"]

Floats = NDArray[np.float64]
_NEAREST, _PAIRS = 40, 60


@dataclass(frozen=True)
class Change:
    """Columns that would be otherwise.

    Attributes:
        columns: their places.
        values: the new ones, as numbers or codes.
        probability: of the wanted class then.
        found: whether the model would say it.
    """

    columns: tuple[int, ...]
    values: tuple[float, ...]
    probability: float
    found: bool

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def changes(
    predict: Callable[[Floats], Floats],
    row: Floats,
    wanted: int,
    known: Floats,
    *,
    fixed: Collection[int] = (),
    most: int = 3,
) -> Change:
    """Return the fewest columns whose change makes a model say a class; of as few, those that make it surest.

    Values come from the known rows that are nearest and that the model gives the class. One column is tried, then all
    pairs, then those that help most are added one by one.

    Args:
        predict: rows to probabilities (rows, classes).
        row: (columns,).
        wanted: the class's number.
        known: (rows, columns) to take values from.
        fixed: columns that cannot change.
        most: columns that may.

    Raises:
        DataError: no known row is given the class.
    """
    told = predict(known)
    alike = known[told.argmax(axis=1) == wanted]
    if not len(alike):
        raise DataError("the model gives that class to no known row")
    near = alike[_nearest(row, alike, known)]
    free = [column for column in range(len(row)) if column not in set(fixed)]
    start = float(predict(row[None])[0, wanted])
    best = Change((), (), start, bool(predict(row[None])[0].argmax() == wanted))
    if best.found:
        return best
    for size in (1, 2):
        tried = list(combinations(free, size))[: len(free) if size == 1 else _PAIRS * len(free)]
        found = _best(predict, row, wanted, near, tried) if size <= most else None
        if found is not None:
            if found.found:
                return found
            best = max(best, found, key=lambda one: one.probability)
    columns = list(best.columns)
    while len(columns) < min(most, len(free)):
        tried = [(*columns, column) for column in free if column not in columns]
        found = _best(predict, row, wanted, near, tried)
        if found is None:
            break
        best, columns = max(best, found, key=lambda one: one.probability), list(found.columns)
        if found.found:
            return found
    return best


def _nearest(row: Floats, alike: Floats, known: Floats) -> NDArray[np.int64]:
    with np.errstate(all="ignore"):
        spread = np.nan_to_num(np.nanstd(known, axis=0), nan=1.0)
    gaps = np.abs(alike - row) / np.where(spread > 0, spread, 1.0)
    # What is missing on one side alone is as far as a whole spread.
    gaps = np.where(np.isnan(gaps), np.where(np.isnan(alike) == np.isnan(row), 0.0, 1.0), gaps)
    return np.argsort(gaps.sum(axis=1), kind="stable")[:_NEAREST]


def _best(
    predict: Callable[[Floats], Floats], row: Floats, wanted: int, near: Floats, tried: Sequence[tuple[int, ...]]
) -> Change | None:
    if not tried:
        return None
    rows = np.repeat(row[None], len(tried) * len(near), axis=0)
    for place, columns in enumerate(tried):
        block = slice(place * len(near), (place + 1) * len(near))
        rows[block, list(columns)] = near[:, list(columns)]
    told = predict(rows)
    said = told.argmax(axis=1) == wanted
    at = int((told[:, wanted] + said).argmax())
    columns = tried[at // len(near)]
    values = tuple(float(value) for value in rows[at, list(columns)])
    return Change(tuple(columns), values, float(told[at, wanted]), bool(said[at]))
