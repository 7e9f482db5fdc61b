"""The reliability diagram: how often a model is right when it is that sure, and how often it is that sure."""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.errors import DataError
from pilotfish.measure.metrics import Calibration
from pilotfish.measure.report._canvas import DASHES, MARKERS, MUTED, SERIES, SIZE, WIDTH, Box, Canvas
from pilotfish.measure.report._labels import shorten, width
from pilotfish.measure.report.document import Svg

_LEFT, _TOP, _BOTTOM = 58.0, 34.0, 330.0
_STRIP = 46.0
# Bins of fewer rows say next to nothing about accuracy, so the line passes them by.
_FIRM = 20


def calibration_plot(systems: Sequence[tuple[str, Calibration]], *, title: str = "Calibration") -> Svg:
    """Draw accuracy against confidence for up to four systems; on the diagonal a model is as right as it is sure.

    Bins of under 20 rows are pale dots off the line. Below, one strip a system shows where its confidences lie.

    Args:
        systems: (name, calibration).
        title: for readers who cannot see the plot.

    Raises:
        DataError: no system, or more than four.
        MissingExtra: matplotlib is not installed.
    """
    if not 1 <= len(systems) <= 4:
        raise DataError(f"a calibration plot takes 1 to 4 systems, got {len(systems)}")
    texts = [f"{shorten(name, 24)}, ECE {table.ece:.3f}" for name, table in systems]
    right = WIDTH - min(max(width(text, SIZE - 0.5) for text in texts) * 1.04 + 46, 280.0)
    strips = _BOTTOM + 30
    canvas = Canvas(strips + _STRIP * len(systems) + 52)
    axes = canvas.axes(Box(_LEFT, _TOP, right, _BOTTOM), grid="both")
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[i / 5 for i in range(6)], yticks=[i / 5 for i in range(6)])
    axes.tick_params(axis="x", labelbottom=False, length=0)
    axes.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    canvas.text(_LEFT - 46, 14, "Right", color=MUTED, fontsize=SIZE - 0.5)
    for index, (_, table) in enumerate(systems):
        firm = [b for b in table.bins if b.rows >= _FIRM]
        style = {"color": SERIES[index], "marker": MARKERS[index], "markersize": 6, "clip_on": False}
        shape = {"linestyle": DASHES[index], "linewidth": 1.8}
        axes.plot([b.confidence for b in firm], [b.accuracy for b in firm], **shape, **style)
        loose = [b for b in table.bins if b.rows < _FIRM]
        axes.plot([b.confidence for b in loose], [b.accuracy for b in loose], linestyle="", alpha=0.35, **style)
        y = _TOP + 12 + 20 * index
        canvas.key((right + 16, y), (right + 36, y), index)
        canvas.text(right + 42, y, texts[index], color=SERIES[index], fontsize=SIZE - 0.5)
        top = strips + _STRIP * index
        strip = canvas.axes(Box(_LEFT, top, right, top + _STRIP - 10), grid="")
        strip.set(xlim=(0, 1), ylim=(0, max(b.rows for b in table.bins)), yticks=[], xticks=[i / 5 for i in range(6)])
        last = index == len(systems) - 1
        strip.tick_params(axis="x", labelbottom=last, length=4 if last else 0)
        strip.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
        for each in table.bins:
            wide = each.high - each.low
            strip.bar(each.low + wide / 2, each.rows, width=wide * 0.86, color=SERIES[index], alpha=0.75)
        canvas.text(right + 16, top + _STRIP / 2 - 4, f"{table.rows:,} rows", color=SERIES[index], fontsize=SIZE - 0.5)
    where = (_LEFT + right) / 2, strips + _STRIP * len(systems) + 36
    canvas.text(
        *where,
        "Confidence (pale: under 20 rows); below, how many rows have it",
        color=MUTED,
        ha="center",
        fontsize=SIZE - 0.5,
    )
    return canvas.finish(title, _describe(systems))


def _describe(systems: Sequence[tuple[str, Calibration]]) -> str:
    parts = []
    for name, table in systems:
        lean = "overconfident" if table.overconfidence > 0 else "underconfident"
        bins = ", ".join(f"{b.accuracy:.0%} right at {b.confidence:.0%}" for b in table.bins)
        parts.append(f"{name}: expected calibration error {table.ece:.3f}, on the whole {lean}; {bins}")
    return "How often each system is right, by its confidence. " + ". ".join(parts) + "."
