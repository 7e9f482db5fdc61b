"""Intervals of figures that several trainings gave, on the same rows: both the seeds and the rows are drawn again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.measure._interval import Interval

__all__ = ["drawn_again", "redrawn"]

RESAMPLES = 1000


def drawn_again(table: NDArray[Any], value: Callable[[NDArray[Any]], float], resamples: int = RESAMPLES) -> Interval:
    """Return a value of a table (seeds, rows, anything), with the 95% interval of its redrawn ones."""
    return redrawn(table, lambda each: (value(each),), resamples)[0]


def redrawn(
    table: NDArray[Any], values: Callable[[NDArray[Any]], tuple[float, ...]], resamples: int = RESAMPLES
) -> tuple[Interval, ...]:
    """Return values of a table (seeds, rows, anything), with 95% intervals; all of the same draws.

    With few seeds the interval is too narrow; with one it knows of rows alone. A draw in which a value is not a number
    does not count for it.
    """
    random = np.random.default_rng(0)
    seeds, rows = table.shape[:2]
    drawn = [
        values(table[random.integers(seeds, size=seeds)][:, random.integers(rows, size=rows)]) for _ in range(resamples)
    ]
    how = f"percentile bootstrap of seeds and rows, {resamples:,} resamples"
    found = []
    for value, each in zip(values(table), zip(*drawn, strict=True), strict=True):
        there = np.array([one for one in each if one == one])  # noqa: PLR0124 what is no number differs from itself
        low, high = np.quantile(there, [0.025, 0.975]) if len(there) else (float("nan"), float("nan"))
        found.append(Interval(value, float(low), float(high), 0.95, how, rows))
    return tuple(found)
