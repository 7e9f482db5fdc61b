"""Prediction-powered inference: a judge on everything and people on a few give a mean that is not biased by the judge.

Sources: Angelopoulos et al. 2023 (Prediction-Powered Inference), section 2, for the mean; Angelopoulos, Duchi and Zrnic
2023 (PPI++: Efficient Prediction-Powered Inference), section 6, for how much the judge is listened to:
lambda = cov(Y, f) / ((1 + n/N) var(f)), which makes the interval no wider than people's alone; Hall 1992 (On the
Removal of Skewness by Transformation), equations 2.1 and 2.2, for scores that lie mostly at one end of their scale, as
people's do: few rows of them hold less of the other end than there is, and a symmetric interval misses the truth on
one side.

The judge's own mean is wrong wherever the judge is, with no width that would say so. Here what it is wrong by is
estimated from the rows that people judged too, and the width counts both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Powered", "powered_mean"]


@dataclass(frozen=True)
class Powered:
    """A mean by people's and a judge's scores, beside that by either.

    Attributes:
        mean: of both; its n are the rows that people judged.
        people: of people's rows alone.
        judge: the judge's own mean over all rows, which may be wrong by any amount.
        weight: how much the judge was listened to: 0 not at all, 1 as PPI has it.
        bias: what the judge is above people by, over the rows that both judged.
        rows: that only the judge judged.
    """

    mean: Interval
    people: Interval
    judge: float
    weight: float
    bias: float
    rows: int

    @property
    def saved(self) -> float:
        """How many times as many people's rows would be needed for the same width without the judge, less one."""
        return (self.people.width / self.mean.width) ** 2 - 1 if self.mean.width else math.inf

    def __str__(self) -> str:
        return (
            f"{self.mean}; people alone {self.people}; the judge alone {self.judge:.3f}, {self.bias:+.3f} of people's; "
            f"it is worth {100 * self.saved:.0f}% more people's rows"
        )


def powered_mean(
    people: ArrayLike, judged: ArrayLike, others: ArrayLike, *, weight: float | None = None, level: float = 0.95
) -> Powered:
    """Return the mean of what people would say of all rows, and its interval.

    The rows that people judged must have been drawn at random from all. Quantiles are Student's t of n - 1, which few
    rows need, shifted by the skewness that was seen.

    Args:
        people: (n,) people's scores, two or more.
        judged: (n,) the judge's of the same rows.
        others: (N,) the judge's of further rows, one or more.
        weight: how much the judge is listened to; None for what makes the interval narrowest, within 0 and 1.
        level: two-sided confidence level.

    Raises:
        DataError: columns that do not fit, too few rows, or a score that is not finite.
    """
    y, f, g = (np.asarray(column, np.float64) for column in (people, judged, others))
    if y.ndim != 1 or y.shape != f.shape or g.ndim != 1:
        raise DataError(f"people's scores and the judge's must be of the same rows: {y.shape} and {f.shape}")
    if len(y) < 2 or not len(g):
        raise DataError(
            f"people's scores of 2 rows are needed, and the judge's of 1 more; there are {len(y)}, {len(g)}"
        )
    if not all(np.isfinite(column).all() for column in (y, f, g)):
        raise DataError("a score is not finite")
    listened = _weight(y, f, g) if weight is None else weight
    value = float(listened * g.mean() + (y - listened * f).mean())
    n, rest = len(y), len(g)
    # A weight that was found on the same rows takes a degree of freedom, as a slope does.
    free = n - 1 - (weight is None and n > 2)
    spread = float(np.square(y - listened * f - (y - listened * f).mean()).sum()) / free / n
    spread += listened**2 * _variance(f, g) / rest
    third = _third(y - listened * f) / n**2 + listened**3 * _third(np.concatenate([f, g])) / rest**2
    return Powered(
        _interval(value, spread, third, n, free, level),
        _interval(float(y.mean()), float(y.var(ddof=1)) / n, _third(y) / n**2, n, n - 1, level),
        float(np.concatenate([f, g]).mean()),
        float(listened),
        float((f - y).mean()),
        rest,
    )


def _weight(y: NDArray[np.float64], f: NDArray[np.float64], g: NDArray[np.float64]) -> float:
    # Both moments of the same rows: of others the spread would be better known, but not their ratio.
    spread = float(f.var(ddof=1))
    if not spread > 0:
        return 0.0
    shared = float(np.cov(y, f)[0, 1])
    return float(np.clip(shared / (spread * (1 + len(y) / len(g))), 0.0, 1.0))


def _variance(f: NDArray[np.float64], g: NDArray[np.float64]) -> float:
    """Return the variance of the judge's scores, by all of them: they are draws of one distribution."""
    return float(np.concatenate([f, g]).var(ddof=1))


def _third(column: NDArray[np.float64]) -> float:
    """Return the third central moment of draws."""
    return float(((column - column.mean()) ** 3).mean())


def _interval(value: float, variance: float, third: float, n: int, free: int, level: float) -> Interval:
    """Return the interval of an estimate with its variance and third cumulant."""
    from scipy.stats import t

    error = math.sqrt(variance)
    skew = third / error**3 if error > 0 else 0.0
    low, high = (value - error * _unskewed(float(t.ppf(0.5 + side * level / 2, free)), skew) for side in (1, -1))
    return Interval(value, low, high, level, "prediction-powered, Student's t, skewness removed", n)


def _unskewed(quantile: float, skew: float) -> float:
    """Return a quantile of (estimate - truth) / error, of an estimate with this skewness (Hall's g inverted)."""
    if abs(skew) < 1e-9:
        return quantile
    inner = 1 + skew * (quantile - skew / 6)
    return 3 / skew * (math.copysign(abs(inner) ** (1 / 3), inner) - 1)
