"""Qualities side by side, each with its interval: a forest plot."""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.errors import DataError
from pilotfish.measure._interval import Interval
from pilotfish.measure.report._canvas import INK, MUTED, SERIES, SIZE, WIDTH, Box, Canvas
from pilotfish.measure.report._labels import shorten, width
from pilotfish.measure.report.document import Svg


def forest_plot(
    rows: Sequence[tuple[str, Interval]],
    *,
    quality: str = "Accuracy",
    chosen: str | None = None,
    reference: float | None = None,
    spec: str = ".1%",
    title: str = "Quality",
) -> Svg:
    """Draw one line a system: a dot for its value, a bar for its interval, the numbers at the right.

    Args:
        rows: (name, interval), drawn from top to bottom.
        quality: the name of the axis.
        chosen: the name of the row to stress.
        reference: a vertical line to compare with: the large model's quality, or 0 for differences.
        spec: the format of the numbers.
        title: for readers who cannot see the plot.

    Raises:
        DataError: no rows.
        MissingExtra: matplotlib is not installed.
    """
    if not rows:
        raise DataError("a forest plot needs at least one row")
    names = [shorten(name, 32) for name, _ in rows]
    numbers = [_numbers(interval, spec) for _, interval in rows]
    left = max(width(name) for name in names) * 1.04 + 22
    right = WIDTH - max(width(number, SIZE - 0.5) for number in numbers) - 18
    top, step = 12.0, 27.0
    bottom = top + step * len(rows)
    canvas = Canvas(bottom + 50)
    axes = canvas.axes(Box(left, top, right, bottom), grid="x")
    ends = [end for _, each in rows for end in (each.low, each.high)] + ([] if reference is None else [reference])
    pad = 0.05 * (max(ends) - min(ends)) or 0.05
    axes.set(xlim=(min(ends) - pad, max(ends) + pad), ylim=(len(rows), 0), yticks=[])
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _: format(value, _coarser(spec, max(ends) - min(ends))))
    if reference is not None:
        axes.axvline(reference, color=INK, linewidth=1, linestyle=(0, (3, 3)))
    for index, (name, interval) in enumerate(rows):
        strong = name == chosen
        colour = SERIES[0] if strong or chosen is None else MUTED
        y = index + 0.5
        axes.plot([interval.low, interval.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot([interval.value], [y], "D" if strong else "o", color=colour, markersize=7.5 if strong else 6.5)
        weight = "bold" if strong else "normal"
        canvas.text(left - 10, top + step * y, names[index], ha="right", fontweight=weight)
        canvas.text(WIDTH - 6, top + step * y, numbers[index], ha="right", fontsize=SIZE - 0.5, fontweight=weight)
    canvas.text((left + right) / 2, bottom + 40, quality, color=MUTED, ha="center", fontsize=SIZE - 0.5)
    described = "; ".join(f"{name}: {number}" for (name, _), number in zip(rows, numbers, strict=True))
    return canvas.finish(title, f"{quality}. {described}.")


def _numbers(interval: Interval, spec: str) -> str:
    return f"{interval:{spec}}".replace("-", "−")


def _coarser(spec: str, span: float) -> str:
    """Return a format for ticks: whole per cents where they differ enough."""
    return ".0%" if spec.endswith("%") and span > 0.04 else spec
