"""Whether an explanation names what a model goes by: columns are taken away, or given back, in the order that it says.

Source: deletion and insertion curves: Petsiuk et al. 2018 (RISE), section 4.3, here for columns; a column is taken away
by giving it values of other rows, and the mean over several of these is looked at, so that no value is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap

__all__ = ["Faithful", "faithful"]

Floats = NDArray[np.float64]
_BACKGROUND = 16


@dataclass(frozen=True)
class Faithful:
    """The areas under curves of how strongly a model holds to what it said.

    Attributes:
        deletion: while columns go, the most important first: the smaller the better.
        insertion: while they come back: the greater the better.
        random_deletion, random_insertion: in an order that was drawn.
        deletion_gain, insertion_gain: by how much better than at random, row by row: above 0 is faithful.
        rows: that were looked at.
    """

    deletion: Interval
    insertion: Interval
    random_deletion: Interval
    random_insertion: Interval
    deletion_gain: Interval
    insertion_gain: Interval
    rows: int

    @classmethod
    def of(cls, own: Sequence[Floats], random: Sequence[Floats], seed: int = 0) -> Faithful:
        """Return it from the areas of each row.

        Args:
            own: (rows,) of deletion and of insertion, in the order that is looked at.
            random: likewise, in an order that was drawn.
            seed: of the intervals.
        """
        return cls(
            bootstrap(own[0], seed=seed),
            bootstrap(own[1], seed=seed),
            bootstrap(random[0], seed=seed),
            bootstrap(random[1], seed=seed),
            bootstrap(random[0] - own[0], seed=seed),
            bootstrap(own[1] - random[1], seed=seed),
            len(own[0]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def faithful(
    predict: Callable[[Floats], Floats], x: Floats, importance: Floats, background: Floats, *, seed: int = 0
) -> Faithful:
    """Return whether an importance is faithful to a model.

    Args:
        predict: rows (rows, columns) to probabilities (rows, classes), or numbers (rows,).
        x: (rows, columns) that are explained.
        importance: (rows, columns) of each row's columns for what the model says of it; the larger the more.
        background: (other rows, columns) whose values take the place of what is taken away.
        seed: of the rows that are drawn from the background, and of the random order.

    Raises:
        DataError: no rows, no background, or shapes that differ.
    """
    if not len(x) or not len(background) or importance.shape != x.shape or background.shape[1] != x.shape[1]:
        raise DataError("faithfulness needs rows, others of the same columns, and an importance a value")
    rng = np.random.default_rng(seed)
    others = background[rng.integers(len(background), size=_BACKGROUND)]
    told = predict(x)
    held = _held(told)
    orders = np.argsort(-importance, axis=1, kind="stable")
    drawn = np.argsort(rng.random(x.shape), axis=1)
    own, random = (
        [_walked(predict, x, order, others, held, keep=keep).mean(axis=1) for keep in (False, True)]
        for order in (orders, drawn)
    )
    return Faithful.of(own, random, seed)


def _held(told: Floats) -> Callable[[Floats], Floats]:
    """Return what tells how strongly a model holds to what it said of each row, from what it says now.

    Of classes that is the probability of the class that it said; of numbers one less the gap, by the spread of all.
    """
    if told.ndim == 2:
        said = told.argmax(axis=1)
        return lambda now: now[np.arange(len(said)), said]
    spread = float(told.std()) or 1.0
    return lambda now: np.asarray(1 - np.abs(now - told) / spread)


def _walked(
    predict: Callable[[Floats], Floats],
    x: Floats,
    order: NDArray[np.int64],
    others: Floats,
    held: Callable[[Floats], Floats],
    *,
    keep: bool,
) -> Floats:
    """Return (rows, columns) how strongly it holds on after each column that goes, or with `keep` comes back."""
    rows, columns = x.shape
    found = np.zeros((rows, columns))
    chosen = np.zeros(x.shape, bool)
    for step in range(columns):
        chosen[np.arange(rows), order[:, step]] = True
        total = np.zeros(rows)
        for other in others:
            total += held(predict(np.where(chosen == keep, x, other)))
        found[:, step] = total / len(others)
    return found
