"""The advice as a report: the verdict first, then the evidence for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.candidate import TITLES, Candidate
from pilotfish.measure.frontier import Frontier, Point
from pilotfish.measure.metrics import Calibration, calibration, confusion, ece
from pilotfish.measure.report import (
    Block,
    Column,
    Details,
    Figure,
    Gates,
    Highlight,
    KeyValues,
    Paragraph,
    Report,
    Section,
    Table,
    plots,
)

if TYPE_CHECKING:
    from pilotfish.compete.advise import Advice
    from pilotfish.measure.intervals import Interval
    from pilotfish.measure.report.document import Cell

ANSWERS = {
    "small": "Small model",
    "large": "Large model",
    "cascade": "Cascade",
    "large at training time only": "Large at training time only",
}


def page(advice: Advice) -> Report:
    """Return the report of an advice, for the terminal and for HTML."""
    verdict, task = advice.verdict, advice.task
    return Report(
        title=f"Small, large, or both? {len(task.labels)} labels, {len(task.train) + len(task.test):,} labelled rows",
        verdict=verdict.reason,
        answer=ANSWERS[verdict.answer],
        notes=[
            ("What would flip it", verdict.flip),
            ("Settled?", _settled(advice)),
        ],
        highlights=_highlights(advice),
        sections=[
            Section("The candidates", _candidates(advice)),
            Section("Cost and quality", _frontier(advice)),
            Section("How many labels it takes", _curves(advice)),
            *([Section("Using both models", _both(advice))] if advice.judged else []),
            Section("Where the choice is wrong", _errors(advice)),
            Section("Hard gates", [Gates(advice.gates)]),
            Section("The data and the method", _method(advice)),
        ],
        footer="Made by `pilotfish advise`. Intervals are 95% unless said otherwise.",
    )


def _settled(advice: Advice) -> str:
    verdict = advice.verdict
    if len(advice.contenders) < 2:
        return "Only small models were measured."
    if verdict.settled:
        return (
            f"Yes: on {verdict.rows:,} shared held-out rows the choice is shown to be at most {verdict.margin:.1%} "
            f"worse than each other candidate (one-sided {advice.settings.alpha:.0%})."
        )
    return f"No: {verdict.rows:,} shared held-out rows do not show it; the choice is only the most accurate so far."


def _highlights(advice: Advice) -> list[Highlight]:
    chosen = advice.verdict.chosen
    accuracy = chosen.accuracy
    items = [
        Highlight("Accuracy", f"{accuracy.value:.1%}", f"{accuracy.low:.1%} to {accuracy.high:.1%}"),
        Highlight("Single row", _milliseconds(chosen.p50), f"p95 {_milliseconds(chosen.p95)}"),
    ]
    if advice.judged is not None:
        large = advice.judged.best.accuracy
        items.insert(1, Highlight("Large model", f"{large.value:.1%}", f"{large.low:.1%} to {large.high:.1%}"))
    if chosen.dollars is not None:
        items.append(Highlight("A thousand rows", f"${chosen.dollars * 1000:.2f}", _seconds(chosen.seconds, 1000)))
    return items


def _candidates(advice: Advice) -> list[Block]:
    chosen = advice.verdict.chosen
    rows: list[list[Cell]] = []
    for one in advice.candidates:
        rows.append(
            [
                one.title,
                TITLES[one.family],
                one.accuracy,
                one.macro_f1,
                _ece(advice, one),
                len(one.rows),
                None if one.seconds is None else one.seconds * 1000,
                None if one.p50 is None else one.p50 * 1e3,
                None if one.p95 is None else one.p95 * 1e3,
                None if one.dollars is None else one.dollars * 1000,
                None if one.joules is None else one.joules * 1000,
                one.failures if one.details.get("how") == "answer parsed" else None,
            ]
        )
    kinds = sorted({one.joules_kind for one in advice.candidates if one.joules_kind})
    table = Table(
        [
            Column("Candidate"),
            Column("Kind"),
            Column("Accuracy", "right", ".1%", "max", "95% Wilson"),
            Column("Macro-F1", "right", ".3f", "max"),
            Column("ECE", "right", ".3f", "min", "calibration error"),
            Column("Rows", "right", ",", help="held out"),
            Column("s / 1,000", "right", ".3g", help="in batches"),
            Column("p50 ms", "right", ".3g", help="one row"),
            Column("p95 ms", "right", ".3g", help="one row"),
            Column("$ / 1,000", "right", ".2f", help="rows"),
            Column("J / 1,000", "right", ".3g", help=" and ".join(kinds) or "rows"),
            Column("No label", "right", ",", help="parse failures"),
        ],
        rows,
        "Every candidate on the held-out rows, which taught and tuned nothing.",
        chosen=next(i for i, one in enumerate(advice.candidates) if one is chosen),
        note=_sample_note(advice),
    )
    forest = plots.forest_plot(
        [(one.title, one.accuracy) for one in advice.candidates],
        chosen=chosen.title,
        title="Accuracy of each candidate",
    )
    gaps: list[list[Cell]] = [[key, interval] for key, interval in _titled(advice).items()]
    blocks: list[Block] = [Figure(forest, "Accuracy with its 95% interval; the choice is stressed."), table]
    if gaps:
        blocks.append(
            Table(
                [
                    Column("Against"),
                    Column("Difference in accuracy", "right", "+.1%", help="choice minus other, paired"),
                ],
                gaps,
                f"The choice against the others, on the same {advice.verdict.rows:,} rows (paired bootstrap).",
            )
        )
    return blocks


def _titled(advice: Advice) -> dict[str, Interval]:
    titles = {one.key: one.title for one in advice.contenders}
    return {titles[key]: interval for key, interval in advice.verdict.differences.items()}


def _sample_note(advice: Advice) -> str:
    if advice.judged is None:
        return "No large model was measured."
    asked, there = len(advice.judged.best.rows), len(advice.task.test)
    note = "The large model's accuracy rests on all held-out rows."
    if asked < there:
        note = (
            f"The large model was asked about a seeded sample of {asked:,} of the {there:,} held-out rows; "
            "differences are taken on that sample."
        )
    if advice.judged.best.details["bias_corrected"]:
        note += " Its label bias is corrected with 64 texts whose labels were not looked at (batch calibration)."
    return note


def _ece(advice: Advice, one: Candidate) -> float | None:
    if one.probabilities is None:
        return None
    index = {label: i for i, label in enumerate(advice.task.labels)}
    known = [i for i, label in enumerate(one.truth) if label in index]
    return ece(one.probabilities[known], np.array([index[one.truth[i]] for i in known]))


def _frontier(advice: Advice) -> list[Block]:
    priced = any(one.dollars for one in advice.candidates)
    points = []
    for one in advice.candidates:
        cost = one.dollars if priced else one.seconds
        if cost is not None and one.family != "baseline":
            points.append(Point(one.title, cost * 1000, one.accuracy))
    unit = "USD per 1,000 rows" if priced else "seconds per 1,000 rows"
    frontier = Frontier(points, unit)
    chosen = advice.verdict.chosen.title
    svg = plots.frontier_plot(frontier, chosen=chosen if any(p.name == chosen for p in points) else None)
    best = ", ".join(point.name for point in frontier.optimal)
    return [
        Figure(svg, f"Quality against {unit}; the line is random mixing of the best."),
        Paragraph(f"Not beaten on both counts by another: {best}."),
    ]


def _curves(advice: Advice) -> list[Block]:
    lines = [plots.Curve(curve.title, curve.points()) for curve in advice.curves if curve.counts]
    blocks: list[Block] = []
    crossing = advice.crossings.get(advice.small.key)
    if advice.judged is not None:
        lines.append(plots.Curve(advice.judged.best.title, [(0, advice.judged.best.accuracy)]))
    mark = None
    if crossing is not None and np.isfinite(crossing.labels) and crossing.labels > 0:
        mark = (crossing.labels, "small overtakes large")
    everything = len(advice.task.train) / len(advice.task.labels)
    svg = plots.curve_plot(lines, crossover=mark, all_labels=everything)
    data: list[list[Cell]] = [
        [curve.title, f"{n:.0f}", interval, seeds]
        for curve in advice.curves
        for (n, interval), seeds in zip(curve.points(), curve.seeds, strict=True)
    ]
    table = Table(
        [
            Column("Small model"),
            Column("Labels a class", "right"),
            Column("Accuracy", "right", ".1%"),
            Column("Draws", "right", ","),
        ],
        data,
        "The numbers behind the curve.",
    )
    blocks.append(Figure(svg, "Accuracy by the number of labels a class that people give.", table))
    for curve in advice.curves:
        if curve.key in advice.crossings and curve.key == advice.small.key:
            blocks.append(Paragraph(_crossing_text(curve.title, advice.crossings[curve.key])))
    return blocks


def _crossing_text(title: str, crossing: object) -> str:
    from pilotfish.compete.curve import Crossover

    assert isinstance(crossing, Crossover)
    if crossing.labels == 0:
        return f"{title} is ahead of the large model without a single label."
    if not np.isfinite(crossing.labels):
        return f"{title} does not overtake the large model with the labels there are."
    return f"{title} overtakes the large model at {crossing} labels a class (95% interval over held-out rows)."


def _both(advice: Advice) -> list[Block]:
    blocks: list[Block] = []
    threshold, taught = advice.threshold, advice.taught
    if threshold is not None:
        both = next(one for one in advice.candidates if one.key == "cascade")
        above = both.details["threshold"]
        rule = "every row" if above is None else f"rows below a confidence of {above:.3f}" if above > 0 else "no row"
        blocks.append(
            Paragraph(
                f"Cascade: the small model answers first and defers {rule} to the large one. The threshold was chosen "
                f"on {threshold.rows:,} training rows kept back for it, where it deferred {threshold.deferred:.0%}; "
                f"on the held-out rows it defers {both.details['deferred']:.0%}."
            )
        )
    if taught is None:
        blocks.append(Paragraph("The large model's labels were too few or all alike, so no small model could learn."))
        return blocks
    source = (
        "training rows with their labels hidden (no unlabelled rows were given)"
        if taught.lesson.hidden
        else ("the unlabelled rows")
    )
    blocks.append(
        Paragraph(f"Large at training time only: it labelled {taught.silver_rows:,} of {source}; a small model learnt.")
    )
    rows = [
        [what, one.details["labels_used"], one.details["silver_labels_used"], one.accuracy]
        for what, one in (
            ("large's labels only", taught.silver),
            ("people's labels only", taught.gold),
            ("people's and large's labels", taught.both),
        )
    ]
    columns = [
        Column("The same small model, taught by"),
        Column("Labels by people", "right", ","),
        Column("by large", "right", ","),
        Column("Accuracy", "right", ".1%", "max"),
    ]
    blocks.append(Table(columns, rows, "What the large model's labels are worth."))
    return blocks


def _errors(advice: Advice) -> list[Block]:
    chosen = advice.verdict.chosen
    counted = confusion(list(chosen.truth), list(chosen.answers))
    blocks: list[Block] = [
        Figure(plots.confusion_plot(counted), "What is taken for what, on the held-out rows."),
    ]
    systems: list[tuple[str, Calibration]] = []
    for one in advice.contenders:
        if one.probabilities is not None and len(systems) < 4:
            systems.append((one.title, calibration(one.probabilities.max(axis=1), one.correct, bins=10)))
    if systems:
        text = "How right each model is when it says how sure it is; on the diagonal it can be taken at its word."
        blocks.append(Figure(plots.calibration_plot(systems), text))
    wrong = [i for i, right in enumerate(chosen.correct) if not right][:12]
    if wrong:
        examples = [[_short(advice.task.test[chosen.rows[i]]), chosen.truth[i], chosen.answers[i]] for i in wrong]
        table = Table([Column("Text"), Column("Label"), Column("Answer")], examples, "The first errors.")
        blocks.append(Details(f"{len(wrong)} held-out rows that the choice gets wrong", [table]))
    return blocks


def _method(advice: Advice) -> list[Block]:
    task, reading = advice.task, advice.reading
    facts: list[tuple[str, object]] = [
        ("Training rows", len(task.train)),
        ("of which kept back to tune", len(task.tune)),
        ("of which kept back for the threshold", len(task.calibrate)),
        ("Held-out rows", len(task.test)),
        ("Unlabelled rows", len(task.unlabelled)),
        ("Labels", len(task.labels)),
        ("Took", f"{reading.seconds:.0f} s of wall time, ${advice.spent:.2f}"),
        ("Peak memory", f"{reading.peak_memory / 2**30:.2f} GiB"),
        ("Energy", f"{reading.energy.joules:.0f} J, {reading.energy.kind} ({reading.energy.basis})"),
        ("Machine", f"{advice.machine.get('cpu', 'unknown')}, {advice.machine.get('cores', '?')} cores"),
        ("Seed", advice.settings.seed),
    ]
    shown = KeyValues([(name, value) for name, value in facts if isinstance(value, str | int | float)])
    notes: list[Block] = [Paragraph(note, "note") for note in task.notes]
    how = Paragraph(
        "Penalties and temperatures are chosen on rows kept back to tune; the cascade's threshold, and the way of "
        "asking the large model, on other rows kept back. After that each small model is fitted again on every "
        "training row, and everything is measured on the held-out rows."
    )
    return [shown, *notes, how]


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.3g} ms"


def _seconds(seconds: float | None, rows: int) -> str:
    return "" if seconds is None else f"{seconds * rows:.3g} s in batches"


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
