"""A number with its uncertainty, and the closed-form interval of a proportion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from pilotfish.errors import DataError


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value and where the true one plausibly lies.

    `str()` gives "0.925 [0.917, 0.933]"; a format spec applies to all three numbers (`f"{interval:.1%}"`).

    Attributes:
        value: the point estimate.
        low: the lower end.
        high: the upper end.
        level: the confidence level, two-sided.
        method: how the ends were found.
        n: rows (or groups) it rests on.
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    method: str = ""
    n: int = 0

    def __post_init__(self) -> None:
        if not (self.low <= self.high or math.isnan(self.value)):
            raise DataError(f"an interval's low end ({self.low}) lies above its high end ({self.high})")

    @property
    def width(self) -> float:
        """High end minus low end."""
        return self.high - self.low

    def contains(self, value: float) -> bool:
        """Whether `value` lies between the ends, ends included."""
        return self.low <= value <= self.high

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "level": self.level,
            "method": self.method,
            "n": self.n,
        }

    @classmethod
    def exact(cls, value: float) -> Interval:
        """Return an interval of no width, for a number that is known rather than sampled."""
        return cls(value, value, value, level=1.0, method="exact")

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self, "")


def z_score(level: float) -> float:
    """Return the normal quantile that leaves (1 - level) / 2 above it: 1.96 at 0.95.

    Raises:
        DataError: `level` is not strictly between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise DataError(f"a confidence level lies strictly between 0 and 1, got {level}")
    return NormalDist().inv_cdf((1.0 + level) / 2.0)


def wilson(successes: float, n: int, level: float = 0.95) -> Interval:
    """Return the score interval of a proportion (Wilson 1927): sound at 0, at 1 and for few rows.

    Raises:
        DataError: `n` below 1, or `successes` outside 0..n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise DataError(f"a proportion needs at least one row and successes between 0 and n; got {successes} of {n}")
    z = z_score(level)
    share = successes / n
    middle = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # The exact ends at 0 and n are 0 and 1; rounding must not push them past the value.
    low = 0.0 if successes == 0 else (middle - spread) / scale
    high = 1.0 if successes == n else (middle + spread) / scale
    return Interval(share, low, high, level, "Wilson score", n)
