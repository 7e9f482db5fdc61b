"""Shapley values of any model of a table, by orders that are drawn: for models that are no sum and no trees.

Source: Castro et al. 2009, section 3; Strumbelj and Kononenko 2014, algorithm 1: columns take the row's values one
after another, in a drawn order, from a drawn other row; what the prediction changes by is the column's. In each order
the changes add up to the whole, so their mean does. An order is walked both ways (Mitchell et al. 2022, section 4.1).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError

__all__ = ["sampled"]

Floats = NDArray[np.float64]


def sampled(
    value: Callable[[Floats], Floats], x: Floats, background: Floats, *, orders: int = 16, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return what each column adds, (rows, columns, outputs), and what they add to, (outputs,).

    Args:
        value: (rows, columns) to (rows, outputs).
        x: the rows.
        background: (other rows, columns); each order begins at one of them, the same for all rows.
        orders: that are drawn; each is walked both ways.
        seed: of the draws.

    Raises:
        DataError: no other rows, or of other columns.
    """
    if not len(background) or background.shape[1] != x.shape[1]:
        raise DataError("what columns add is seen beside other rows of the same columns")
    rng = np.random.default_rng(seed)
    outputs = np.asarray(value(background[:1])).shape[1]
    shares, base = np.zeros((*x.shape, outputs)), np.zeros(outputs)
    for _ in range(orders):
        drawn = rng.permutation(x.shape[1])
        start = background[rng.integers(len(background))]
        for order in (drawn, drawn[::-1]):
            at = np.tile(start, (len(x), 1))
            before = np.asarray(value(at))
            base += before[0] if len(x) else np.asarray(value(start[None]))[0]
            for column in order.tolist():
                at[:, column] = x[:, column]
                after = np.asarray(value(at))
                shares[:, column] += after - before
                before = after
    return shares / (2 * orders), base / (2 * orders)
