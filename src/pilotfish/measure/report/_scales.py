"""Axes that matplotlib does not bring: a logarithmic cost axis with room for a cost of 0."""

from __future__ import annotations

import math


class CostScale:
    """Maps costs to positions: logarithmic from the least positive cost on, linear below it, so that 0 has a place."""

    def __init__(self, costs: list[float]) -> None:
        positive = [cost for cost in costs if cost > 0]
        self.zero = len(positive) < len(costs)
        self.least = min(positive, default=1.0)
        most = max(positive, default=1.0)
        self.logarithmic = most / self.least >= 3
        decades = self.at(most) - (self.at(0) if self.zero else self.at(self.least))
        pad = max(0.08 * decades, 0.15) if self.logarithmic else 0.1 * most
        self.low = (self.at(0) if self.zero else self.at(self.least)) - pad
        self.high = self.at(most) + 1.4 * pad
        self.ticks = self._ticks()

    def at(self, cost: float) -> float:
        """Return the position of a cost on the axis."""
        if not self.logarithmic:
            return cost
        if cost >= self.least:
            return math.log10(cost)
        return math.log10(self.least) - 0.7 * (1 - cost / self.least)

    def cost(self, position: float) -> float:
        """Return the cost at a position, the inverse of `at`."""
        if not self.logarithmic:
            return position
        edge = math.log10(self.least)
        return 10**position if position >= edge else self.least * max(0.0, 1 - (edge - position) / 0.7)

    def _ticks(self) -> list[float]:
        if not self.logarithmic:
            start = max(self.low, 0.0)
            rough = (self.high - start) / 4
            step = 10 ** math.floor(math.log10(rough))
            step *= 5 if rough / step >= 5 else 2 if rough / step >= 2 else 1
            return [i * step for i in range(math.ceil(start / step), math.floor(self.high / step) + 1)]
        lowest = math.log10(self.least)
        ticks = [0.0] if self.zero else []
        for steps in ((1,), (1, 3), (1, 2, 5)):
            start = lowest if self.zero else self.low
            decades = range(math.floor(start), math.ceil(self.high) + 1)
            marks = [m * 10.0**d for d in decades for m in steps]
            # Below the least cost the axis is linear, so a mark may lie outside though its logarithm does not.
            inside = [m for m in marks if start - 1e-9 <= math.log10(m) and self.low <= self.at(m) <= self.high]
            if len(inside) >= 3:
                break
        return ticks + inside


def money(cost: float) -> str:
    """Return a cost as a tick shows it: no exponent, no trailing zeros."""
    return f"{cost:,.0f}" if cost >= 10 or cost == 0 else f"{cost:.12f}".rstrip("0").rstrip(".")
