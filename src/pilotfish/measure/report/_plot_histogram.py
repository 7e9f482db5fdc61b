"""How numbers are spread: a histogram a system, one below the other over one axis, each with its mean and interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pilotfish.errors import DataError
from pilotfish.measure._interval import Interval
from pilotfish.measure.report._canvas import INK, MUTED, SERIES, SIZE, WIDTH, Box, Canvas
from pilotfish.measure.report._labels import shorten, width
from pilotfish.measure.report.document import Svg

_BINS = (10, 40)


def histogram_plot(
    rows: Sequence[tuple[str, ArrayLike]],
    *,
    means: Sequence[Interval] | None = None,
    quality: str = "Score",
    spec: str = ".2f",
    title: str = "Distribution",
) -> Svg:
    """Draw how many values lie where.

    Args:
        rows: (name, values) from top to bottom; bins and axis are the same for all.
        means: of each, drawn as a line in a band that is its interval.
        quality: the name of the axis.
        spec: the format of its numbers.
        title: for readers who cannot see the plot.

    Raises:
        DataError: no rows, one without a value, or a value that is not finite.
        MissingExtra: matplotlib is not installed.
    """
    values = [np.asarray(some, np.float64).reshape(-1) for _, some in rows]
    if not values or not all(len(some) for some in values):
        raise DataError("a histogram needs at least one value of each system")
    if not all(np.isfinite(some).all() for some in values):
        raise DataError("a histogram needs finite values; drop rows that are NaN or infinite")
    edges = _edges(np.concatenate(values))
    counts = [np.histogram(some, edges)[0] for some in values]
    names = [shorten(name, 24) for name, _ in rows]
    named = len(rows) > 1
    left = max(width(name) for name in names) * 1.04 + 66 if named else 56.0
    top, step, gap = 10.0, 74.0 if named else 170.0, 10.0
    bottom = top + len(rows) * (step + gap) - gap
    canvas = Canvas(bottom + 50)
    for place, (name, count) in enumerate(zip(names, counts, strict=True)):
        start, last = top + place * (step + gap), place == len(rows) - 1
        axes = canvas.axes(Box(left, start, WIDTH - 12, start + step))
        axes.bar(edges[:-1], count, np.diff(edges), align="edge", color=SERIES[0], alpha=0.75, linewidth=0)
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, max(1, int(count.max())) * 1.08))
        axes.locator_params(axis="y", nbins=2 if named else 4, integer=True)
        axes.locator_params(axis="x", nbins=6)
        axes.xaxis.set_major_formatter(lambda value, _: format(value, spec).replace("-", "−"))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        if not last:
            axes.tick_params(axis="x", labelbottom=False)
        if means is not None:
            axes.axvspan(means[place].low, means[place].high, color=SERIES[1], alpha=0.25, linewidth=0)
            axes.axvline(means[place].value, color=SERIES[1], linewidth=1.6)
        if named:
            canvas.text(left - 56, start + step / 2, name, ha="right")
    canvas.text((left + WIDTH) / 2, bottom + 40, quality, color=MUTED, ha="center", fontsize=SIZE - 0.5)
    if not named:
        canvas.text(6, top - 2, "rows", color=INK, fontsize=SIZE - 0.5, va="center")
    return canvas.finish(title, f"{quality}. {'; '.join(_told(rows, values, means, spec))}.")


def _edges(values: np.ndarray) -> np.ndarray:
    """Return the ends of bins: Freedman and Diaconis' width, as many as a page shows well, at least ten."""
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    spread = float(np.subtract(*np.percentile(values, (75, 25))))
    wide = 2 * spread / len(values) ** (1 / 3)
    least, most = _BINS
    count = least if wide <= 0 else int(np.clip(np.ceil((high - low) / wide), least, most))
    return np.linspace(low, high, count + 1)


def _told(
    rows: Sequence[tuple[str, ArrayLike]], values: Sequence[np.ndarray], means: Sequence[Interval] | None, spec: str
) -> list[str]:
    found = []
    for place, ((name, _), some) in enumerate(zip(rows, values, strict=True)):
        low, middle, high = np.percentile(some, (0, 50, 100))
        mean = f", mean {means[place]:{spec}}" if means is not None else ""
        found.append(f"{name}: {len(some):,} values from {low:{spec}} to {high:{spec}}, median {middle:{spec}}{mean}")
    return found
