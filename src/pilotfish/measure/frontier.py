"""The cost-quality frontier: which systems are worth having, and what mixing two of them at random would give.

A router or cascade is worth its trouble only where it beats a coin toss between two plain models, which reaches every
point on the straight line between them (FrugalGPT: Chen et al. 2023, section 4; RouterBench: Hu et al. 2024, section
3.2, the non-decreasing convex hull).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pilotfish.errors import DataError
from pilotfish.measure._interval import Interval

__all__ = ["Frontier", "Mix", "Point"]


@dataclass(frozen=True, slots=True)
class Point:
    """One system: what it costs and how good it is (more is better).

    Attributes:
        name: unique on its frontier.
        cost: at least 0, in the frontier's unit.
        quality: with its interval.
        details: anything else worth showing, plain data.
    """

    name: str
    cost: float
    quality: Interval
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.cost) and self.cost >= 0 and math.isfinite(self.quality.value)):
            raise DataError(f"point {self.name!r} needs a finite cost of at least 0 and a finite quality")

    def to_json(self) -> dict[str, Any]:
        """Return the point as plain data."""
        return {"name": self.name, "cost": self.cost, "quality": self.quality.to_json(), **self.details}


@dataclass(frozen=True, slots=True)
class Mix:
    """Two systems mixed at random: a `share` of the requests goes to `rich`, the rest to `cheap`.

    A pure choice has `cheap` and `rich` the same and a share of 0.
    """

    cheap: Point
    rich: Point
    share: float

    @property
    def cost(self) -> float:
        """The mean cost a request."""
        return self.cheap.cost + self.share * (self.rich.cost - self.cheap.cost)

    @property
    def quality(self) -> float:
        """The expected quality."""
        return self.cheap.quality.value + self.share * (self.rich.quality.value - self.cheap.quality.value)

    def __str__(self) -> str:
        if self.share == 0:
            return self.cheap.name
        return f"{1 - self.share:.0%} {self.cheap.name} + {self.share:.0%} {self.rich.name}"

    def to_json(self) -> dict[str, Any]:
        """Return the mix as plain data."""
        return {
            "cheap": self.cheap.name,
            "rich": self.rich.name,
            "share": self.share,
            "cost": self.cost,
            "quality": self.quality,
        }


@dataclass(frozen=True)
class Frontier:
    """Systems compared by cost and quality.

    Attributes:
        points: every system measured, at least one, names unique.
        unit: the unit of cost, shown to users.
    """

    points: tuple[Point, ...]
    unit: str = "USD per 1,000 requests"

    def __init__(self, points: Iterable[Point], unit: str = "USD per 1,000 requests") -> None:
        object.__setattr__(self, "points", tuple(points))
        object.__setattr__(self, "unit", unit)
        names = [point.name for point in self.points]
        if not names:
            raise DataError("a frontier needs at least one point")
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"two points of the frontier are called {name!r}; give each its own name")

    def __getitem__(self, name: str) -> Point:
        for point in self.points:
            if point.name == name:
                return point
        raise DataError(f"no point of the frontier is called {name!r}")

    @cached_property
    def optimal(self) -> tuple[Point, ...]:
        """The Pareto set, cheapest first: no other point is at least as cheap and as good and better in one.

        Points of equal cost and quality do not dominate one another, so both stay.
        """
        kept: list[Point] = []
        for point in sorted(self.points, key=lambda p: (p.cost, -p.quality.value)):
            last = kept[-1] if kept else None
            tied = last is not None and (last.cost, last.quality.value) == (point.cost, point.quality.value)
            if last is None or tied or point.quality.value > last.quality.value:
                kept.append(point)
        return tuple(kept)

    @cached_property
    def hull(self) -> tuple[Point, ...]:
        """The corners of the best that random mixing reaches, cheapest first: rising, and ever less steeply."""
        corners: list[Point] = []
        for point in self.optimal:
            if corners and corners[-1].cost == point.cost:  # a tie; one of them is enough for the line
                continue
            while len(corners) > 1 and _slope(corners[-2], corners[-1]) <= _slope(corners[-2], point):
                corners.pop()
            corners.append(point)
        return tuple(corners)

    def at_cost(self, cost: float) -> Mix | None:
        """Return the best mix of at most this mean cost; None where even the cheapest point costs more."""
        if cost < self.hull[0].cost:
            return None
        for cheap, rich in zip(self.hull, self.hull[1:], strict=False):
            if cheap.cost <= cost < rich.cost:
                return Mix(cheap, rich, (cost - cheap.cost) / (rich.cost - cheap.cost))
        return Mix(self.hull[-1], self.hull[-1], 0.0)

    def at_quality(self, quality: float) -> Mix | None:
        """Return the cheapest mix of at least this expected quality; None where no point is that good."""
        if quality > self.hull[-1].quality.value:
            return None
        if quality <= self.hull[0].quality.value:
            return Mix(self.hull[0], self.hull[0], 0.0)
        for cheap, rich in zip(self.hull, self.hull[1:], strict=False):
            low, high = cheap.quality.value, rich.quality.value
            if low < quality < high:
                return Mix(cheap, rich, (quality - low) / (high - low))
            if quality == high:
                return Mix(rich, rich, 0.0)
        raise AssertionError("the hull rises from its first corner to its last")

    def above_mixing(self, name: str) -> float | None:
        """Return how much better a point is than the best random mix of the others at its cost.

        Below 0 the point is not worth its trouble; None where no other point is that cheap, so nothing competes.

        Raises:
            DataError: no point has this name.
        """
        point = self[name]
        others = [other for other in self.points if other.name != name]
        rival = Frontier(others, self.unit).at_cost(point.cost) if others else None
        return None if rival is None else point.quality.value - rival.quality

    def area(self, low: float | None = None, high: float | None = None) -> float:
        """Return the mean quality of the hull over a range of cost: one number to compare frontiers by.

        Args:
            low: where the range begins; by default the cheapest point's cost, and never below it.
            high: where it ends; by default the dearest point's cost. Beyond the best point the hull is flat.

        Raises:
            DataError: a range that begins below the cheapest point or ends before it begins.
        """
        start = self.hull[0].cost if low is None else low
        end = max(point.cost for point in self.points) if high is None else high
        if start < self.hull[0].cost or end < start:
            raise DataError(f"cannot average quality from cost {start} to {end}; the cheapest is {self.hull[0].cost}")
        knots = [start, *(p.cost for p in self.hull if start < p.cost < end), end]
        heights = [self._height(cost) for cost in knots]
        if end == start:
            return heights[0]
        steps = zip(knots, knots[1:], heights, heights[1:], strict=False)
        return sum((b - a) * (x + y) / 2 for a, b, x, y in steps) / (end - start)

    def to_json(self) -> dict[str, Any]:
        """Return points, Pareto set, hull and area as plain data."""
        return {
            "unit": self.unit,
            "points": [point.to_json() for point in self.points],
            "optimal": [point.name for point in self.optimal],
            "hull": [point.name for point in self.hull],
            "area": self.area(),
        }

    def _height(self, cost: float) -> float:
        mix = self.at_cost(cost)
        assert mix is not None, "the range begins at or after the cheapest point"
        return mix.quality


def _slope(cheap: Point, rich: Point) -> float:
    return (rich.quality.value - cheap.quality.value) / (rich.cost - cheap.cost)
