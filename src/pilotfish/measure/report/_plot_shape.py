"""What a column adds by its value: a curve over numbers with the band of its rows, or a dot a category."""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.errors import DataError
from pilotfish.measure.report._canvas import INK, MUTED, SERIES, SIZE, WIDTH, Box, Canvas
from pilotfish.measure.report._labels import shorten, width
from pilotfish.measure.report.document import Svg


def shape_plot(
    values: Sequence[float] | Sequence[str],
    adds: Sequence[float],
    spread: Sequence[tuple[float, float]] = (),
    *,
    name: str,
    quality: str,
    step: bool = False,
    title: str = "Shape",
) -> Svg:
    """Draw what a column adds.

    Args:
        values: rising numbers, or names.
        adds: one a value.
        spread: (low, high) of each value; none draws none.
        name: of the column.
        quality: what is added to.
        step: a function of steps, rather than points that are joined.
        title: for readers who cannot see the plot.

    Raises:
        DataError: no values, or not one number a value.
        MissingExtra: matplotlib is not installed.
    """
    if not values or len(values) != len(adds) or (spread and len(spread) != len(values)):
        raise DataError("the plot of a column needs one number a value, and at least one")
    categories = isinstance(values[0], str)
    names = [shorten(str(value), 24) for value in values] if categories else []
    left = max(width(one) for one in names) * 1.04 + 22 if categories else 62.0
    top, bottom = 12.0, 12.0 + (max(3, len(names)) * 22.0 if categories else 170.0)
    canvas = Canvas(bottom + 50)
    axes = canvas.axes(Box(left, top, WIDTH - 14, bottom), grid="x" if categories else "y")
    if categories:
        axes.set(ylim=(len(names), 0), yticks=[])
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, (one, add) in enumerate(zip(names, adds, strict=True)):
            if spread:
                axes.plot(spread[place], [place + 0.5] * 2, color=SERIES[0], alpha=0.35, linewidth=4)
            axes.plot([add], [place + 0.5], "o", color=SERIES[0], markersize=6.5)
            canvas.text(left - 10, top + (bottom - top) * (place + 0.5) / len(names), one, ha="right")
        axes.locator_params(axis="x", nbins=6)
        axes.xaxis.set_major_formatter(_number)
        canvas.text((left + WIDTH) / 2, bottom + 40, quality, color=MUTED, ha="center", fontsize=SIZE - 0.5)
    else:
        axes.axhline(0, color=INK, linewidth=0.8)
        if spread:
            low, high = zip(*spread, strict=True)
            axes.fill_between(values, low, high, color=SERIES[0], alpha=0.16, linewidth=0)
        if step:
            axes.step(values, adds, where="mid", color=SERIES[0], linewidth=1.8)
        else:
            axes.plot(values, adds, color=SERIES[0], linewidth=1.8, marker="o", markersize=4.5)
        axes.locator_params(axis="both", nbins=6)
        axes.xaxis.set_major_formatter(_number)
        axes.yaxis.set_major_formatter(_number)
        canvas.text((left + WIDTH) / 2, bottom + 40, shorten(name, 60), color=MUTED, ha="center", fontsize=SIZE - 0.5)
    told = ", ".join(
        f"{value if categories else format(value, '.4g')}: {add:.3g}" for value, add in zip(values, adds, strict=True)
    )
    return canvas.finish(title, f"{quality} by {name}. {told}.")


def _number(value: float, _: object = None) -> str:
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}").replace("-", "−")
