"""Cost against quality, with the line that random mixing reaches."""

from __future__ import annotations

import math
from typing import Any

from pilotfish.measure.frontier import Frontier, Point
from pilotfish.measure.report._canvas import INK, MUTED, PAPER, SERIES, SIZE, WIDTH, Box, Canvas
from pilotfish.measure.report._labels import place, shorten
from pilotfish.measure.report.document import Svg

_AREA = Box(58, 34, WIDTH - 18, 352)
_HEIGHT = 410.0


def frontier_plot(
    frontier: Frontier, *, quality: str = "Accuracy", chosen: str | None = None, title: str = "Cost and quality"
) -> Svg:
    """Draw every point with its interval, the frontier's points filled, and the mixing line through the best.

    The cost axis is logarithmic; a cost of 0 has its own place at the left.

    Args:
        frontier: what to draw.
        quality: the name of the quality; as per cent where all of it lies in 0..1.
        chosen: the name of the point to ring.
        title: for readers who cannot see the plot.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    canvas = Canvas(_HEIGHT)
    axes = canvas.axes(_AREA)
    scale = CostScale([point.cost for point in frontier.points])
    low, high = _range(frontier)
    axes.set_xlim(scale.low, scale.high)
    axes.set_ylim(low, high)
    percent = _is_share(frontier)
    axes.yaxis.set_major_formatter((lambda v, _: f"{v:.0%}") if percent and high - low > 0.05 else _fine(percent))
    axes.set_xticks([scale.at(tick) for tick in scale.ticks], [_money(tick) for tick in scale.ticks])
    canvas.text(_AREA.left - 46, 14, quality, color=MUTED, fontsize=SIZE - 0.5)
    label = f"Cost, {frontier.unit}" + (" (log scale)" if scale.logarithmic else "")
    canvas.text((_AREA.left + _AREA.right) / 2, _HEIGHT - 16, label, color=MUTED, ha="center", fontsize=SIZE - 0.5)
    line = _mixing_line(frontier, scale)
    axes.plot([x for x, _ in line], [y for _, y in line], color=SERIES[0], linewidth=1.4, dashes=(5, 3), zorder=2)
    _draw_points(axes, frontier, scale, chosen)
    _draw_labels(canvas, frontier, [_pixel(*spot, scale, low, high) for spot in line], scale, (low, high), chosen)
    return canvas.finish(title, _describe(frontier, quality, chosen))


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

    def _ticks(self) -> list[float]:
        if not self.logarithmic:
            step = 10 ** math.floor(math.log10(max(self.high, 1e-12)))
            step /= 5 if self.high / step < 2 else 2 if self.high / step < 5 else 1
            return [i * step for i in range(math.ceil(max(self.low, 0) / step), math.floor(self.high / step) + 1)]
        lowest = math.log10(self.least)
        ticks = [0.0] if self.zero else []
        for steps in ((1,), (1, 3), (1, 2, 5)):
            start = lowest if self.zero else self.low
            decades = range(math.floor(start), math.ceil(self.high) + 1)
            marks = [m * 10.0**d for d in decades for m in steps]
            inside = [mark for mark in marks if start - 1e-9 <= math.log10(mark) <= self.high]
            if len(inside) >= 3:
                break
        return ticks + inside


def _range(frontier: Frontier) -> tuple[float, float]:
    low = min(point.quality.low for point in frontier.points)
    high = max(point.quality.high for point in frontier.points)
    pad = 0.08 * (high - low) or 0.05
    return low - pad, high + 1.2 * pad


def _is_share(frontier: Frontier) -> bool:
    return all(0 <= p.quality.low and p.quality.high <= 1 for p in frontier.points)


def _fine(percent: bool) -> Any:
    return (lambda v, _: f"{v:.1%}") if percent else (lambda v, _: f"{v:.3g}")


def _money(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 10 or cost == 0 else f"{cost:.12f}".rstrip("0").rstrip(".")


def _mixing_line(frontier: Frontier, scale: CostScale) -> list[tuple[float, float]]:
    """Return the hull, straight in cost and so curved on a logarithmic axis, as (cost, quality) along it."""
    line = [(scale.at(frontier.hull[0].cost), frontier.hull[0].quality.value)]
    for cheap, rich in zip(frontier.hull, frontier.hull[1:], strict=False):
        for step in range(1, 61):
            at = scale.at(cheap.cost) + (scale.at(rich.cost) - scale.at(cheap.cost)) * step / 60
            mix = frontier.at_cost(min(_cost_at(at, scale), rich.cost))
            assert mix is not None, "the line begins at the cheapest point"
            line.append((at, mix.quality))
    return line


def _cost_at(position: float, scale: CostScale) -> float:
    if not scale.logarithmic:
        return position
    edge = math.log10(scale.least)
    return 10**position if position >= edge else scale.least * max(0.0, 1 - (edge - position) / 0.7)


def _pixel(x: float, y: float, scale: CostScale, low: float, high: float) -> tuple[float, float]:
    across = (x - scale.low) / (scale.high - scale.low)
    down = (high - y) / (high - low)
    return _AREA.left + across * (_AREA.right - _AREA.left), _AREA.top + down * (_AREA.bottom - _AREA.top)


def _draw_points(axes: Any, frontier: Frontier, scale: CostScale, chosen: str | None) -> None:
    for point in frontier.points:
        best = point in frontier.optimal
        x, q = scale.at(point.cost), point.quality
        colour = SERIES[0] if best else MUTED
        axes.plot([x, x], [q.low, q.high], color=colour, linewidth=1.3, solid_capstyle="butt", zorder=3)
        if point.name == chosen:
            axes.plot([x], [q.value], "o", markersize=16, color="none", markeredgecolor=SERIES[0], zorder=4)
        fill = colour if best else PAPER
        axes.plot([x], [q.value], "o" if best else "s", markersize=8 if best else 7, color=fill, zorder=5)
        axes.lines[-1].set(markeredgecolor=colour, markeredgewidth=1.5)


def _draw_labels(
    canvas: Canvas,
    frontier: Frontier,
    line: list[tuple[float, float]],
    scale: CostScale,
    limits: tuple[float, float],
    chosen: str | None,
) -> None:
    # The chosen point and the frontier find their places first, so that the others give way.
    order = sorted(frontier.points, key=lambda p: (p.name != chosen, p not in frontier.optimal, -p.quality.value))
    spots = [_pixel(scale.at(p.cost), p.quality.value, scale, *limits) for p in order]
    avoid = []
    for point, (x, y) in zip(order, spots, strict=True):
        reach = 10 if point.name == chosen else 6
        avoid.append(Box(x - reach, y - reach, x + reach, y + reach))
        top = _pixel(scale.at(point.cost), point.quality.high, scale, *limits)[1]
        bottom = _pixel(scale.at(point.cost), point.quality.low, scale, *limits)[1]
        avoid.append(Box(x - 2, top, x + 2, bottom))
    texts = [shorten(point.name) for point in order]
    inside = Box(_AREA.left, _AREA.top - 6, _AREA.right + 12, _AREA.bottom - 2)
    for point, (px, py), text, (x, y, anchor) in zip(order, spots, texts, place(spots, texts, inside, avoid, line), strict=True):
        if math.hypot(x - px, y - py) > 24:
            canvas.line(px, py, x, y)
        colour, weight = (INK if point in frontier.optimal else MUTED), ("bold" if point.name == chosen else "normal")
        canvas.text(x, y, text, ha=anchor, color=colour, fontweight=weight)


def _describe(frontier: Frontier, quality: str, chosen: str | None) -> str:
    points = "; ".join(_one(point) for point in sorted(frontier.points, key=lambda p: p.cost))
    best = ", ".join(point.name for point in frontier.optimal)
    picked = f" Chosen: {chosen}." if chosen else ""
    return f"{quality} against cost in {frontier.unit}. {points}. On the frontier: {best}.{picked}"


def _one(point: Point) -> str:
    return f"{point.name}: cost {point.cost:.4g}, {point.quality}"
