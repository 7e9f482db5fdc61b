"""What a report on a table shows beside what every report does: measures, the learning curve, what columns count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.tables.measured import MEASURES, worth
from pilotfish.measure.report import Block, Column, Figure, Paragraph, Section, Table, plots

if TYPE_CHECKING:
    from pilotfish.compete.advisor.table_large import LargeTable
    from pilotfish.compete.advisor.table_small import SmallTable
    from pilotfish.compete.curve import Crossover, Curve
    from pilotfish.compete.tables.task import TableTask
    from pilotfish.measure.report.document import Cell

__all__ = ["table_sections"]

_TITLES = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "log-likelihood": "Log-likelihood",
    "r2": "R²",
    "-rmse": "−RMSE",
    "-mae": "−MAE",
}


def table_sections(
    task: TableTask,
    smalls: Sequence[SmallTable],
    best: SmallTable,
    asked: LargeTable | None,
    curve: Curve | None,
    crossing: Crossover | None,
) -> list[Section]:
    """Return the sections; see `advise_table` for what is given."""
    found = [Section("The small models", [_measures(task, smalls, best)])]
    if curve is not None and curve.counts:
        found.append(Section("How many rows it takes", _curve(curve, asked, crossing)))
    if asked is not None and asked.shuffled is not None:
        found.append(Section("Does the large model know this table?", [_shuffled(asked)]))
    return found


def _measures(task: TableTask, smalls: Sequence[SmallTable], best: SmallTable) -> Table:
    names = MEASURES[task.kind]
    rows: list[list[Cell]] = []
    for one in smalls:
        measures = worth(task, one.predicted, resamples=1000).measures
        trials, untuned = one.candidate.details["trials"], one.candidate.details["loss_untuned"]
        rows.append([one.candidate.title, *(measures[name] for name in names), one.loss, float(untuned), int(trials)])
    return Table(
        [
            Column("Kind"),
            *(Column(_TITLES[name], "right", ".3f", "max", "95%") for name in names),
            Column("Loss", "right", ".4f", "min", "in folds"),
            Column("Untuned", "right", ".4f", help="loss in folds"),
            Column("Trials", "right", ","),
        ],
        rows,
        "Each kind on the held-out rows; kinds and settings were chosen by the loss in folds of the training rows.",
        chosen=next(i for i, one in enumerate(smalls) if one is best),
    )


def _curve(curve: Curve, asked: LargeTable | None, crossing: Crossover | None) -> list[Block]:
    lines = [plots.Curve(curve.title, curve.points())]
    if asked is not None:
        lines.append(plots.Curve(asked.best.title, [(0, asked.best.accuracy)]))
    mark = None
    if crossing is not None and np.isfinite(crossing.labels) and crossing.labels > 0:
        mark = (crossing.labels, "small overtakes large")
    svg = plots.curve_plot(lines, crossover=mark, all_labels=curve.counts[-1])
    data: list[list[Cell]] = [
        [f"{n:,.0f}", interval, seeds] for (n, interval), seeds in zip(curve.points(), curve.seeds, strict=True)
    ]
    table = Table(
        [Column("Rows", "right"), Column("Accuracy", "right", ".1%"), Column("Draws", "right", ",")],
        data,
        "The numbers behind the curve.",
    )
    blocks: list[Block] = [Figure(svg, f"Accuracy of {curve.title} by the rows that it learns from.", table)]
    if crossing is not None:
        blocks.append(Paragraph(_crossing(curve.title, crossing)))
    return blocks


def _crossing(title: str, at: Crossover) -> str:
    if at.from_the_start:
        return f"{title} is ahead of the large model from {at.first:.0f} rows on, the fewest measured."
    if not np.isfinite(at.labels):
        return (
            f"{title} does not overtake the large model with the rows there are; it did in {at.reached:.0%} of the "
            "resamples of the held-out rows."
        )
    end = f"to {at.high:,.0f}" if np.isfinite(at.high) else "to more than there are"
    return f"{title} overtakes the large model at about {at.labels:,.0f} rows (95% interval {at.low:,.0f} {end})."


def _shuffled(asked: LargeTable) -> Paragraph:
    assert asked.shuffled is not None
    own, other = asked.shuffled
    text = (
        f"Asked with each column under another one's name, the large model is right on {other:.1%} of "
        f"{len(asked.calibrate):,} training rows, where it was right on {own:.1%} with their own names. "
    )
    if own - other > 0.05:
        return Paragraph(
            text + "It goes by what the names mean, or has read this very table: its figures may flatter it."
        )
    return Paragraph(text + "It makes little of the names.")
