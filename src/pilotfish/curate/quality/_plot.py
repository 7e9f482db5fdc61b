"""Precision against recall."""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.errors import DataError
from pilotfish.measure.curve import PrecisionRecall
from pilotfish.measure.report import Svg
from pilotfish.measure.report._canvas import DASHES, MUTED, SERIES, SIZE, WIDTH, Box, Canvas
from pilotfish.measure.report._labels import shorten, width

__all__ = ["curve_plot"]

_LEFT, _TOP, _BOTTOM, _HEIGHT = 58.0, 34.0, 330.0, 388.0


def curve_plot(
    systems: Sequence[tuple[str, PrecisionRecall]], *, base: float, title: str = "Precision and recall"
) -> Svg:
    """Draw precision against recall for up to four systems; the broken line is what keeping everything gives.

    Args:
        systems: (name, curve).
        base: the share of good rows.
        title: for readers who cannot see the plot.

    Raises:
        DataError: no system, or more than four.
        MissingExtra: matplotlib is not installed.
    """
    if not 1 <= len(systems) <= 4:
        raise DataError(f"a plot of precision and recall takes 1 to 4 systems, got {len(systems)}")
    texts = [f"{shorten(name, 24)}, average {curve.average.value:.3f}" for name, curve in systems]
    right = WIDTH - min(max(width(text, SIZE - 0.5) for text in texts) * 1.04 + 46, 280.0)
    canvas = Canvas(_HEIGHT)
    axes = canvas.axes(Box(_LEFT, _TOP, right, _BOTTOM), grid="both")
    ticks = [i / 5 for i in range(6)]
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=ticks, yticks=ticks)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.plot([0, 1], [base, base], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    canvas.text(_LEFT - 46, 14, "Precision", color=MUTED, fontsize=SIZE - 0.5)
    for index, (text, (_, curve)) in enumerate(zip(texts, systems, strict=True)):
        shape = {"color": SERIES[index], "linestyle": DASHES[index], "linewidth": 1.8}
        axes.plot([0.0, *curve.recall], [curve.precision[0], *curve.precision], **shape)
        y = _TOP + 12 + 20 * index
        canvas.line((right + 16, y), (right + 36, y), SERIES[index], 1.8)
        canvas.text(right + 42, y, text, color=SERIES[index], fontsize=SIZE - 0.5)
    canvas.text((_LEFT + right) / 2, _HEIGHT - 14, "Recall", color=MUTED, ha="center", fontsize=SIZE - 0.5)
    said = []
    for name, curve in systems:
        some = range(0, len(curve.recall), max(1, len(curve.recall) // 6))
        points = ", ".join(f"{curve.precision[i]:.0%} at recall {curve.recall[i]:.0%}" for i in some)
        said.append(f"{name}: average precision {curve.average.value:.3f}; {points}")
    return canvas.finish(title, f"Precision against recall; {base:.0%} of all rows are good. {'. '.join(said)}.")
