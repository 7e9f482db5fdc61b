"""Cost against quality, with the line that random mixing reaches."""

from __future__ import annotations

import math
from typing import Any

from pilotfish.measure.frontier import Frontier, Point
from pilotfish.measure.report._canvas import INK, MUTED, PAPER, SERIES, SIZE, WIDTH, Box, Canvas, Pixel
from pilotfish.measure.report._labels import place, shorten
from pilotfish.measure.report._scales import CostScale, money
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
    view = _View(frontier)
    axes.set(xlim=(view.scale.low, view.scale.high), ylim=(view.low, view.high))
    axes.yaxis.set_major_formatter(view.tick)
    axes.set_xticks([view.scale.at(tick) for tick in view.scale.ticks], [money(tick) for tick in view.scale.ticks])
    quiet: dict[str, Any] = {"color": MUTED, "fontsize": SIZE - 0.5}
    canvas.text(_AREA.left - 46, 14, quality, **quiet)
    label = f"Cost, {frontier.unit}" + (" (log scale)" if view.scale.logarithmic else "")
    canvas.text((_AREA.left + _AREA.right) / 2, _HEIGHT - 16, label, ha="center", **quiet)
    line = _mixing_line(frontier, view.scale)
    axes.plot([x for x, _ in line], [y for _, y in line], color=SERIES[0], linewidth=1.4, dashes=(5, 3), zorder=2)
    _draw_points(axes, frontier, view, chosen)
    _draw_labels(canvas, frontier, [view.pixel(*spot) for spot in line], view, chosen)
    return canvas.finish(title, _describe(frontier, quality, chosen))


class _View:
    """What the axes span, and where a point of them lies on the page."""

    def __init__(self, frontier: Frontier) -> None:
        self.scale = CostScale([point.cost for point in frontier.points])
        shown = _comparable(frontier)
        self.below = [point.name for point in frontier.points if point not in shown]
        bottom = min(point.quality.low for point in shown)
        top = max(point.quality.high for point in shown)
        pad = 0.08 * (top - bottom) or 0.05
        self.low, self.high = bottom - pad, top + 1.2 * pad
        self.share = top <= 1 and all(point.quality.low >= 0 for point in frontier.points)

    def pixel(self, x: float, y: float) -> Pixel:
        across = (x - self.scale.low) / (self.scale.high - self.scale.low)
        down = (self.high - y) / (self.high - self.low)
        return _AREA.left + across * (_AREA.right - _AREA.left), _AREA.top + down * (_AREA.bottom - _AREA.top)

    def of(self, point: Point, quality: float | None = None) -> Pixel:
        if point.name in self.below:
            return self.pixel(self.scale.at(point.cost), self.low)[0], _AREA.bottom - 9
        return self.pixel(self.scale.at(point.cost), point.quality.value if quality is None else quality)

    def name(self, point: Point) -> str:
        quality = f"{point.quality.value:.0%}" if self.share else f"{point.quality.value:.3g}"
        return shorten(point.name) + (f" ({quality}, off the scale)" if point.name in self.below else "")

    def tick(self, value: float, _: int) -> str:
        if not self.share:
            return f"{value:.3g}"
        return f"{value:.0%}" if self.high - self.low > 0.05 else f"{value:.1%}"


def _comparable(frontier: Frontier) -> list[Point]:
    """Return the points worth a shared scale: all but a few so far below that they would squeeze the others."""
    ranked = sorted(frontier.points, key=lambda point: -point.quality.value)
    for kept in range(len(ranked) - 1, max(2, len(ranked) // 2), -1):
        best, least = ranked[0].quality.value, ranked[kept - 1].quality.value
        if least - ranked[kept].quality.value > 1.2 * (best - least) > 0:
            return ranked[:kept]
    return ranked


def _mixing_line(frontier: Frontier, scale: CostScale) -> list[tuple[float, float]]:
    """Return the hull, straight in cost and so curved on a logarithmic axis, as (cost, quality) along it."""
    line = [(scale.at(frontier.hull[0].cost), frontier.hull[0].quality.value)]
    for cheap, rich in zip(frontier.hull, frontier.hull[1:], strict=False):
        for step in range(1, 61):
            at = scale.at(cheap.cost) + (scale.at(rich.cost) - scale.at(cheap.cost)) * step / 60
            mix = frontier.at_cost(min(scale.cost(at), rich.cost))
            assert mix is not None, "the line begins at the cheapest point"
            line.append((at, mix.quality))
    return line


def _draw_points(axes: Any, frontier: Frontier, view: _View, chosen: str | None) -> None:
    for point in frontier.points:
        best = point in frontier.optimal
        x, q = view.scale.at(point.cost), point.quality
        colour = SERIES[0] if best else MUTED
        if point.name in view.below:
            at = view.low + 9 / (_AREA.bottom - _AREA.top) * (view.high - view.low)
            axes.plot([x], [at], "v", color=colour, markersize=8, zorder=5)
            continue
        axes.plot([x, x], [q.low, q.high], color=colour, linewidth=1.3, solid_capstyle="butt", zorder=3)
        if point.name == chosen:
            axes.plot([x], [q.value], "o", markersize=16, color="none", markeredgecolor=SERIES[0], zorder=4)
        marker, size, fill = ("o", 8, colour) if best else ("s", 7, PAPER)
        edge = {"markeredgecolor": colour, "markeredgewidth": 1.5}
        axes.plot([x], [q.value], marker, markersize=size, color=fill, zorder=5, **edge)


def _draw_labels(canvas: Canvas, frontier: Frontier, line: list[Pixel], view: _View, chosen: str | None) -> None:
    # The chosen point and the frontier find their places first, so that the others give way.
    order = sorted(frontier.points, key=lambda p: (p.name != chosen, p not in frontier.optimal, -p.quality.value))
    spots = [view.of(point) for point in order]
    avoid = []
    for point, (x, y) in zip(order, spots, strict=True):
        reach = 10 if point.name == chosen else 6
        avoid.append(Box(x - reach, y - reach, x + reach, y + reach))
        if point.name in view.below:
            continue
        avoid.append(Box(x - 2, view.of(point, point.quality.high)[1], x + 2, view.of(point, point.quality.low)[1]))
    inside = Box(_AREA.left, _AREA.top - 6, _AREA.right + 12, _AREA.bottom - 2)
    texts = [view.name(point) for point in order]
    placed = place(spots, texts, inside, avoid, line)
    for point, spot, text, (x, y, anchor) in zip(order, spots, texts, placed, strict=True):
        if math.dist(spot, (x, y)) > 22:
            canvas.line(spot, (x, y))
        colour, weight = (INK if point in frontier.optimal else MUTED), ("bold" if point.name == chosen else "normal")
        canvas.text(x, y, text, ha=anchor, color=colour, fontweight=weight)


def _describe(frontier: Frontier, quality: str, chosen: str | None) -> str:
    points = "; ".join(_one(point) for point in sorted(frontier.points, key=lambda p: p.cost))
    best = ", ".join(point.name for point in frontier.optimal)
    picked = f" Chosen: {chosen}." if chosen else ""
    return f"{quality} against cost in {frontier.unit}. {points}. On the frontier: {best}.{picked}"


def _one(point: Point) -> str:
    return f"{point.name}: cost {point.cost:.4g}, {point.quality}"
