"""Which class is taken for which: a heat map of few classes, the most confused pairs of many."""

from __future__ import annotations

from typing import Any

from pilotfish.measure.metrics import Confusion
from pilotfish.measure.report._canvas import INK, MUTED, PAPER, RULE, SERIES, SIZE, WIDTH, Box, Canvas
from pilotfish.measure.report._labels import shorten, width
from pilotfish.measure.report.document import Svg

_MOST_CLASSES = 12
_NO_ANSWER = "(no answer)"


def confusion_plot(confusion: Confusion, *, pairs: int = 20, title: str = "Confusion") -> Svg:
    """Draw up to twelve classes as a heat map (rows add up to 100%), more of them as their most confused pairs.

    Args:
        confusion: what was counted.
        pairs: the most pairs to show where there are many classes.
        title: for readers who cannot see the plot.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    if len(confusion.labels) <= _MOST_CLASSES:
        return _heat_map(confusion, title)
    return _pairs(confusion, pairs, title)


def _heat_map(confusion: Confusion, title: str) -> Svg:
    names = [shorten(str(label), 22) for label in confusion.labels]
    table = confusion.counts.tolist()
    columns = list(names)
    if confusion.unanswered.any():
        columns.append(_NO_ANSWER)
        table = [[*row, int(extra)] for row, extra in zip(table, confusion.unanswered, strict=True)]
    left = max(width(name) for name in names) + 34
    cell = min(52.0, (WIDTH - left - 16) / len(columns))
    tall = min(cell, 40.0)
    # Column names stand upright where they would not fit side by side.
    upright = max(width(name) for name in columns) > cell - 6
    foot = max(width(name) for name in columns) + 10 if upright else 24.0
    top = 30.0
    bottom = top + tall * len(names)
    canvas = Canvas(bottom + foot + 30)
    axes = canvas.axes(Box(left, top, left + cell * len(columns), bottom), grid="")
    axes.set(xlim=(0, len(columns)), ylim=(len(names), 0), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    for i, row in enumerate(table):
        total = sum(row) or 1
        for j, count in enumerate(row):
            right = i == j
            _cell(axes, i, j, count / total, SERIES[0] if right else SERIES[1])
            if count:
                strong = "bold" if right else "normal"
                x, y = left + cell * (j + 0.5), top + tall * (i + 0.5)
                canvas.text(x, y, f"{count:,}", ha="center", fontsize=_size(count, cell), fontweight=strong, gid=None)
        canvas.text(left - 8, top + tall * (i + 0.5), names[i], ha="right", fontsize=SIZE - 0.5)
    for j, name in enumerate(columns):
        x = left + cell * (j + 0.5)
        if upright:
            canvas.text(x, bottom + 8, name, ha="center", va="top", rotation=90, fontsize=SIZE - 0.5)
        else:
            canvas.text(x, bottom + 14, name, ha="center", fontsize=SIZE - 0.5)
    canvas.text(left - 8, 14, "True", ha="right", color=MUTED, fontsize=SIZE - 0.5)
    canvas.text(left, bottom + foot + 14, "Predicted", color=MUTED, fontsize=SIZE - 0.5)
    return canvas.finish(title, _describe(confusion))


def _cell(axes: Any, row: int, column: int, share: float, colour: str) -> None:
    # A light wash even at full share, so that the ink over it reads in light and dark.
    xs, ys = (column, column + 1), (row, row)
    axes.fill_between(xs, ys, (row + 1, row + 1), color=PAPER, linewidth=1.2, edgecolor=RULE)
    if share:
        opacity = 0.08 + 0.37 * share
        axes.fill_between(xs, ys, (row + 1, row + 1), color=colour, alpha=opacity, linewidth=0)


def _size(count: int, cell: float) -> float:
    return min(SIZE, SIZE * (cell - 4) / max(1.0, width(f"{count:,}")))


def _pairs(confusion: Confusion, limit: int, title: str) -> Svg:
    found = confusion.most_confused(limit)
    support = confusion.counts.sum(axis=1) + confusion.unanswered
    rows_of = dict(zip(confusion.labels, support.tolist(), strict=True))
    texts = [f"{shorten(str(true), 26)} → {shorten(str(guess), 26)}" for true, guess, _ in found]
    left = min(max((width(text) for text in texts), default=100.0) + 20, WIDTH - 180)
    top, step = 34.0, 21.0
    canvas = Canvas(top + step * max(len(found), 1) + 14)
    canvas.text(left - 10, 14, "True → predicted", ha="right", color=MUTED, fontsize=SIZE - 0.5)
    canvas.text(left, 14, "rows, and the share of the true class", color=MUTED, fontsize=SIZE - 0.5)
    if not found:
        canvas.text(left, top + 8, "no row was confused")
        return canvas.finish(title, _describe(confusion))
    most = found[0][2]
    axes = canvas.axes(Box(left, top, WIDTH - 110, top + step * len(found)), grid="")
    axes.set(xlim=(0, most), ylim=(len(found), 0), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    axes.barh([i + 0.5 for i in range(len(found))], [count for _, _, count in found], height=0.62, color=SERIES[1])
    for index, ((true, _, count), text) in enumerate(zip(found, texts, strict=True)):
        y = top + step * (index + 0.5)
        canvas.text(left - 10, y, text, ha="right", fontsize=SIZE - 0.5)
        end = left + (WIDTH - 110 - left) * count / most
        canvas.text(end + 7, y, f"{count:,}  ({count / rows_of[true]:.0%})", color=INK, fontsize=SIZE - 0.5)
    return canvas.finish(title, _describe(confusion))


def _describe(confusion: Confusion) -> str:
    pairs = "; ".join(f"{true} taken for {guess} {count} times" for true, guess, count in confusion.most_confused(20))
    missing = int(confusion.unanswered.sum())
    unanswered = f" {missing} rows without an answer." if missing else ""
    classes = f"{len(confusion.labels)} classes, {confusion.accuracy:.1%} right."
    return f"{classes} Most confused: {pairs or 'none'}.{unanswered}"
