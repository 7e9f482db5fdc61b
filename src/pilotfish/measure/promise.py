"""A promise that holds: evidence that a mean is above zero, and how far a sequence of settings may go on it.

A setting (a threshold, say) is tested on rows that had no part in choosing it; settings are tested in an order fixed
before, from the safest on, and the last that passes is taken: with probability 1 - `risk` or more all that passed keep
the promise (Angelopoulos et al. 2021, Learn then Test, section 3.2, fixed-sequence testing). The test is valid for any
bounded values and any number of rows: the wealth of a bettor who cannot win by luck (Waudby-Smith and Ramdas 2024,
Estimating means of bounded random variables by betting, sections 4 and 5).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish._extras import need
from pilotfish.errors import DataError

__all__ = ["evidence", "last_kept", "normal_evidence"]

# Stakes of the bettors whose mean wealth counts, evenly spaced in their logarithm: shares of what would ruin one.
STAKES = np.geomspace(0.02, 0.95, 24)


def evidence(values: ArrayLike, low: float, high: float, *, horizon: int | None = None) -> float:
    """Return the evidence that a mean is above 0: where it is not, it reaches 1 / risk with probability `risk` at most.

    It is the most that the bettors ever had, on the way through the rows (Ville's inequality).

    Args:
        values: (rows,) drawn at random, in random order.
        low: the least that a value can be, below 0.
        high: the most, above 0.
        horizon: None speaks of the mean that all values to come have in the long run; a number of the mean of the next
            so many, drawn from the same rows without replacement: their own chance is part of the promise.

    Raises:
        DataError: values beyond the bounds, or bounds that do not hold 0 between them.
    """
    x = np.asarray(values, np.float64)
    if not low < 0 < high or (horizon is not None and horizon < 1):
        raise DataError(f"evidence needs bounds on both sides of 0 and a horizon of 1 or more; got {low}, {high}")
    if x.ndim != 1 or not np.isfinite(x).all() or (x < low - 1e-9).any() or (x > high + 1e-9).any():
        raise DataError(f"evidence needs one column of values from {low} to {high}")
    # Where the next rows' sum is 0, what each row is expected to be, given those before it: the mean of all still left.
    expected = np.zeros(len(x))
    if horizon is not None:
        expected = np.cumsum(x[::-1])[::-1] / (np.arange(len(x), 0, -1) + horizon)
    ruin = 1.0 / np.maximum(expected - low, 1e-12)
    stakes = np.minimum(STAKES[:, None] / -low, STAKES[-1] * ruin)
    wealth: NDArray[np.float64] = np.log1p(stakes * (x - expected)).cumsum(axis=1)
    if not len(x):
        return 1.0
    most = wealth.max(axis=0)
    return float(np.exp(min(700.0, float((most + np.log(np.exp(wealth - most).mean(axis=0))).max()))))


def normal_evidence(values: ArrayLike, *, horizon: int | None = None) -> float:
    """Return 1 / p of a one-sided t-test of the same: more is taken for proven, and that only where rows are many.

    It rests on the mean of the rows being normal, which a few rare losses belie; `evidence` rests on nothing.

    Raises:
        DataError: fewer than two rows.
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or len(x) < 2:
        raise DataError("a t-test needs two rows or more")
    spread = float(x.std(ddof=1)) * np.sqrt(1 / len(x) + (0.0 if horizon is None else 1 / horizon))
    if spread == 0:
        return float(np.exp(700.0)) if x[0] > 0 else 1.0
    return 1.0 / max(1e-300, float(need("scipy.stats", "train").t.sf(x.mean() / spread, len(x) - 1)))


def last_kept(settings: int, tested: Callable[[int], float], risk: float) -> int | None:
    """Return the last of a sequence of settings that passes, each before it having passed; None where the first fails.

    Args:
        settings: how many there are, the safest first.
        tested: gives the evidence for a setting.
        risk: the probability that may be left of taking one that does not keep the promise, between 0 and 1.

    Raises:
        DataError: no such risk.
    """
    if not 0 < risk < 1:
        raise DataError(f"a risk lies between 0 and 1, not {risk}")
    kept = None
    for setting in range(settings):
        if tested(setting) < 1 / risk:
            break
        kept = setting
    return kept
