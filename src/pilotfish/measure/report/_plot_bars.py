"""Numbers side by side as bars from nought, to the right above it and to the left below."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pilotfish.errors import DataError
from pilotfish.measure.report._canvas import INK, MUTED, SERIES, SIZE, WIDTH, Box, Canvas
from pilotfish.measure.report._labels import shorten, width
from pilotfish.measure.report.document import Svg


def bars_plot(
    rows: Sequence[tuple[str, float]],
    *,
    quality: str,
    spec: str = ".3g",
    title: str = "Bars",
    sides: tuple[str, str] | None = None,
) -> Svg:
    """Draw one bar a number, the numbers at the right.

    Args:
        rows: (name, number), drawn from top to bottom.
        quality: the name of the axis.
        spec: the format of the numbers.
        title: for readers who cannot see the plot.
        sides: what bars to the left and to the right say, where numbers have a sign; bars below 0 are hollow.

    Raises:
        DataError: no rows, or a number that is not finite.
        MissingExtra: matplotlib is not installed.
    """
    if not rows or not all(math.isfinite(value) for _, value in rows):
        raise DataError("a plot of bars needs at least one row, and finite numbers")
    names = [shorten(name, 34) for name, _ in rows]
    numbers = [format(value, spec).replace("-", "−") for _, value in rows]
    left = max(width(name) for name in names) * 1.04 + 22
    right = WIDTH - max(width(number, SIZE - 0.5) for number in numbers) - 18
    top, step = 28.0 if sides else 10.0, 24.0
    bottom = top + step * len(rows)
    canvas = Canvas(bottom + 50)
    axes = canvas.axes(Box(left, top, right, bottom), grid="x")
    values = [value for _, value in rows]
    low, high = min(0.0, *values), max(0.0, *values)
    pad = 0.04 * (high - low) or 0.05
    axes.set(xlim=(low - pad * (low < 0), high + pad * (high > 0 or low == 0)), ylim=(len(rows), 0), yticks=[])
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}".replace("-", "−"))
    axes.axvline(0, color=INK, linewidth=1)
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        y = index + 0.5
        if value < 0:
            axes.barh(y, value, 0.62, facecolor="none", edgecolor=SERIES[1], linewidth=1.6)
        else:
            axes.barh(y, value, 0.62, color=SERIES[0], linewidth=0)
        canvas.text(left - 10, top + step * y, name, ha="right")
        canvas.text(WIDTH - 6, top + step * y, numbers[index], ha="right", fontsize=SIZE - 0.5)
    if sides:
        canvas.text(left, 12, f"← {sides[0]}", color=SERIES[1], fontsize=SIZE - 0.5)
        canvas.text(right, 12, f"{sides[1]} →", color=SERIES[0], ha="right", fontsize=SIZE - 0.5)
    canvas.text((left + right) / 2, bottom + 40, quality, color=MUTED, ha="center", fontsize=SIZE - 0.5)
    told = "; ".join(f"{name}: {number}" for (name, _), number in zip(rows, numbers, strict=True))
    return canvas.finish(title, f"{quality}. {told}.")
