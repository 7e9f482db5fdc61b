"""Is one system as good as another on the same rows? Paired tests that say so, and how sure they are.

Sources: McNemar 1947 (exact form: Edwards 1948's binomial); Tango 1998, "Equivalence test and confidence interval for
the difference in proportions for the paired-sample design" (eqs. 3-5: the score test under a margin); Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError
from pilotfish.measure._bootstrap import Units, mean_draws
from pilotfish.measure._interval import Interval, z_score


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether system a is at most `margin` worse than system b.

    Attributes:
        difference: a - b, with its two-sided interval at level 1 - 2 alpha; its low end decides.
        margin: the loss that is acceptable, above 0, in the units of the scores.
        alpha: the one-sided error rate.
        p_value: the chance of a difference as good as this, were a exactly `margin` worse.
    """

    difference: Interval
    margin: float
    alpha: float
    p_value: float

    @property
    def shown(self) -> bool:
        """Whether the rows show that a is not worse than b by the margin or more."""
        return self.p_value <= self.alpha

    @property
    def superior(self) -> bool:
        """Whether the whole interval lies above 0: a is better than b."""
        return self.difference.low > 0

    @property
    def inferior(self) -> bool:
        """Whether the whole interval lies below the margin: a is worse than b by more than is acceptable."""
        return self.difference.high < -self.margin

    def to_json(self) -> dict[str, Any]:
        """Return the test as plain data."""
        return {
            "shown": self.shown,
            "difference": self.difference.to_json(),
            "margin": self.margin,
            "alpha": self.alpha,
            "p_value": self.p_value,
        }


def non_inferiority(
    a: ArrayLike,
    b: ArrayLike,
    margin: float,
    alpha: float = 0.05,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    groups: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> NonInferiority:
    """Test whether a is less than `margin` worse than b on the same rows (higher scores are better).

    Scores of 0 and 1 without groups or strata take Tango's score test, which stays sound when the systems hardly ever
    disagree (where a bootstrap sees no spread and would "show" any margin). Others take the paired percentile
    bootstrap, whose p-value is (resamples at or below -margin, plus 1) / (resamples + 1).

    Args:
        a: (rows,) scores of the system under test, 1 where right.
        b: (rows,) scores of the reference.
        margin: the largest loss that does not matter, above 0.
        alpha: the one-sided error rate.
        resamples: for the bootstrap.
        seed: for the bootstrap.
        groups: rows drawn together, as in `bootstrap`.
        strata: rows drawn within, as in `bootstrap`.

    Raises:
        DataError: a margin not above 0, or what `bootstrap` raises.
    """
    left, right = _paired(a, b)
    if not margin > 0 or not 0 < alpha < 0.5:
        raise DataError(f"non-inferiority needs a margin above 0 and an alpha in (0, 0.5); got {margin} and {alpha}")
    level = 1.0 - 2.0 * alpha
    if groups is None and strata is None and _binary(left) and _binary(right):
        only_a, only_b = _discordant(left, right)
        z = _tango(only_a, only_b, len(left), -margin)
        difference = paired_score(left, right, level)
        return NonInferiority(difference, margin, alpha, 1.0 - NormalDist().cdf(z))
    gap = left - right
    units = Units.of(len(gap), groups, strata)
    draws = mean_draws(gap, units, resamples, np.random.default_rng(seed))
    low, high = (float(end) for end in np.quantile(draws, [alpha, 1.0 - alpha]))
    method = f"paired percentile bootstrap, {resamples:,} resamples{units.note}"
    difference = Interval(float(gap.mean()), low, high, level, method, len(units.members))
    return NonInferiority(difference, margin, alpha, (float((draws <= -margin).sum()) + 1.0) / (resamples + 1.0))


def paired_score(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval:
    """Return Tango's score interval of the difference of two proportions on the same rows.

    Unlike a bootstrap it keeps its width where the two systems never disagree.

    Args:
        a: (rows,) of 0 and 1.
        b: (rows,) of 0 and 1.
        level: two-sided confidence level.

    Raises:
        DataError: scores other than 0 and 1, no rows, or two lengths that differ.
    """
    left, right = _paired(a, b)
    only_a, only_b = _discordant(left, right)
    n, z = len(left), z_score(level)
    value = (only_a - only_b) / n
    low = _where(lambda gap: _tango(only_a, only_b, n, gap) - z, -1.0, value)
    high = _where(lambda gap: _tango(only_a, only_b, n, gap) + z, value, 1.0)
    return Interval(value, low, high, level, "Tango score, paired", n)


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test: rows that only a got right, rows that only b did, and the two-sided p-value."""

    only_a: int
    only_b: int
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """Return the test as plain data."""
        return {"only_a": self.only_a, "only_b": self.only_b, "p_value": self.p_value}


def mcnemar(a: ArrayLike, b: ArrayLike) -> McNemar:
    """Test whether two systems have different accuracies on the same rows (exact binomial, two-sided).

    Args:
        a: (rows,) of 0 and 1.
        b: (rows,) of 0 and 1.

    Raises:
        DataError: scores other than 0 and 1, no rows, or two lengths that differ.
    """
    only_a, only_b = _discordant(*_paired(a, b))
    total = only_a + only_b
    # Integers, not floats: 2 ** -total vanishes at a few thousand discordant rows.
    tail = sum(math.comb(total, k) for k in range(min(only_a, only_b) + 1))
    return McNemar(only_a, only_b, min(1.0, float(2 * tail / (1 << total))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for testing them all (Holm 1979), in the order given.

    Compare many systems with one reference and a few will win by luck; reject where the adjusted value is at most
    alpha, and the chance of any false claim stays below alpha, however the tests depend on one another.

    Raises:
        DataError: a p-value outside [0, 1].
    """
    if any(not 0.0 <= p <= 1.0 for p in p_values):
        raise DataError("p-values lie between 0 and 1")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _paired(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if left.ndim != 1 or left.shape != right.shape or not left.size:
        raise DataError(f"paired systems need one score a row for the same rows; got {left.shape} and {right.shape}")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise DataError("paired systems need finite scores; drop rows that are NaN or infinite from both")
    return left, right


def _binary(scores: NDArray[np.float64]) -> bool:
    return bool(np.isin(scores, (0.0, 1.0)).all())


def _discordant(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[int, int]:
    if not (_binary(a) and _binary(b)):
        raise DataError("this test takes scores of 0 and 1 only; use `non_inferiority` or `paired_bootstrap`")
    return int((a > b).sum()), int((b > a).sum())


def _tango(only_a: int, only_b: int, n: int, gap: float) -> float:
    """Return the score statistic of a true difference `gap` (Tango 1998, eqs. 3-5)."""
    w = -only_a - only_b + (2 * n - only_a + only_b) * gap
    v = -only_b * gap * (1 - gap)
    share_b = (math.sqrt(max(0.0, w * w - 8 * n * v)) - w) / (4 * n)
    variance = n * (2 * share_b + gap * (1 - gap))
    distance = only_a - only_b - n * gap
    if variance <= 1e-12:
        return math.copysign(math.inf, distance) if abs(distance) > 1e-9 else 0.0
    return distance / math.sqrt(variance)


def _where(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return the root of a falling function between two points, by bisection to rounding error."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
