"""The learning curve: quality against labels a class, with the large model as a line to cross."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import DataError
from pilotfish.measure._interval import Interval
from pilotfish.measure.report._canvas import DASHES, INK, MARKERS, MUTED, SERIES, SIZE, WIDTH, Box, Canvas
from pilotfish.measure.report._labels import shorten, spread, width
from pilotfish.measure.report.document import Svg

_HEIGHT, _TOP, _BOTTOM, _LEFT = 400.0, 34.0, 342.0, 58.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One system's quality at several numbers of labels.

    Attributes:
        name: shown at the end of its line.
        points: (labels a class, quality), at least one. A single point at 0 is a level: a system that learns from no
            labels, drawn as a horizontal line with its band.
    """

    name: str
    points: Sequence[tuple[float, Interval]]

    @property
    def level(self) -> bool:
        """Whether the curve is a horizontal line."""
        return len(self.points) == 1 and self.points[0][0] == 0


def curve_plot(
    curves: Sequence[Curve],
    *,
    quality: str = "Accuracy",
    crossover: tuple[float, str] | None = None,
    all_labels: float | None = None,
    title: str = "Learning curve",
) -> Svg:
    """Draw quality against labels a class on an axis that is linear near 0 and logarithmic beyond.

    Args:
        curves: up to eight.
        quality: the name of the quality; as per cent where all of it lies in 0..1.
        crossover: (labels a class, what happens there), marked by a vertical line.
        all_labels: the number of labels a class that stands for "all"; its tick says so.
        title: for readers who cannot see the plot.

    Raises:
        DataError: no curves, more than eight, or a curve without points.
        MissingExtra: matplotlib is not installed.
    """
    if not 1 <= len(curves) <= len(SERIES) or any(not curve.points for curve in curves):
        raise DataError(f"a learning curve plot takes 1 to {len(SERIES)} curves with at least one point each")
    names = [shorten(curve.name, 26) for curve in curves]
    right = WIDTH - min(200.0, max(width(name) for name in names) + 20)
    box = Box(_LEFT, _TOP, right, _BOTTOM)
    canvas = Canvas(_HEIGHT)
    axes = canvas.axes(box)
    xs = sorted({x for curve in curves if not curve.level for x, _ in curve.points} or {0.0, 1.0})
    first, last = _at(xs[0]), _at(xs[-1])
    pad = 0.03 * (last - first) or 0.5
    axes.set_xlim(first - pad, last + pad)
    low, high = _range(curves)
    axes.set_ylim(low, high)
    percent = low >= -0.2 and high <= 1.2
    axes.yaxis.set_major_formatter((lambda v, _: f"{v:.0%}") if percent else (lambda v, _: f"{v:.3g}"))
    scale = (box.right - box.left) / (last - first + 2 * pad)
    ticks = _ticks(xs, scale, all_labels)
    axes.set_xticks([_at(x) for x, _ in ticks], [text for _, text in ticks])
    canvas.text(_LEFT - 46, 14, quality, color=MUTED, fontsize=SIZE - 0.5)
    canvas.text(
        (box.left + box.right) / 2, _HEIGHT - 14, "Labels a class", color=MUTED, ha="center", fontsize=SIZE - 0.5
    )
    for index, curve in enumerate(curves):
        _draw(axes, curve, index, (first - pad, last + pad))
    if crossover:
        x = box.left + (_at(crossover[0]) - first + pad) * scale
        canvas.line((x, _TOP - 6), (x, _BOTTOM), INK, 1.0)
        note = shorten(crossover[1], 60)
        left = min(max(x - width(note) / 2, _LEFT - 30 + width(quality)), WIDTH - width(note) - 4)
        canvas.text(left, _TOP - 18, note, fontweight="bold")
    ends = [_TOP + (high - curve.points[-1][1].value) / (high - low) * (_BOTTOM - _TOP) for curve in curves]
    for index, (name, end, y) in enumerate(zip(names, ends, spread(ends, 16, _TOP, _BOTTOM), strict=True)):
        canvas.line((box.right + 1, end), (box.right + 9, y), SERIES[index], 1.0)
        canvas.text(box.right + 12, y, name, color=SERIES[index])
    return canvas.finish(title, _describe(curves, quality, crossover))


def _at(labels: float) -> float:
    return math.log2(1 + labels / 4)


def _range(curves: Sequence[Curve]) -> tuple[float, float]:
    low = min(interval.low for curve in curves for _, interval in curve.points)
    high = max(interval.high for curve in curves for _, interval in curve.points)
    pad = 0.05 * (high - low) or 0.05
    return low - pad, high + pad


def _ticks(xs: Sequence[float], scale: float, all_labels: float | None) -> list[tuple[float, str]]:
    """Return (labels, text) for as many of the measured numbers as have room, the last one first."""
    ticks: list[tuple[float, str]] = []
    for x in sorted(xs, reverse=True):
        text = f"all ({x:,.4g})" if x == all_labels else f"{x:,.4g}"
        room = (width(text) + width(ticks[-1][1])) / 2 + 6 if ticks else 0.0
        if not ticks or (_at(ticks[-1][0]) - _at(x)) * scale >= room:
            ticks.append((x, text))
    return ticks


def _draw(axes: Any, curve: Curve, index: int, ends: tuple[float, float]) -> None:
    colour, dashes = SERIES[index], DASHES[index]
    if curve.level:
        level = curve.points[0][1]
        axes.fill_between(ends, level.low, level.high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(ends, [level.value] * 2, color=colour, linewidth=1.6, linestyle=(0, (6, 3)))
        return
    points = sorted(curve.points, key=lambda point: point[0])
    xs = [_at(x) for x, _ in points]
    axes.fill_between(
        xs, [q.low for _, q in points], [q.high for _, q in points], color=colour, alpha=0.13, linewidth=0
    )
    values = [q.value for _, q in points]
    axes.plot(xs, values, color=colour, linewidth=1.8, linestyle=dashes, marker=MARKERS[index], markersize=5.5)


def _describe(curves: Sequence[Curve], quality: str, crossover: tuple[float, str] | None) -> str:
    parts = []
    for curve in curves:
        if curve.level:
            parts.append(f"{curve.name}: {curve.points[0][1]} without labels")
        else:
            parts.append(f"{curve.name}: " + ", ".join(f"{q.value:.3g} at {x:g}" for x, q in curve.points))
    end = f" {crossover[1]}." if crossover else ""
    return f"{quality} against labels a class. " + "; ".join(parts) + "." + end
