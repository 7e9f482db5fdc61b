"""The advice as a report: the verdict first, then the evidence for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.advisor.survey_page import errors_page, survey_page
from pilotfish.compete.candidate import Candidate
from pilotfish.compete.evidence import both_models, curves, errors, method
from pilotfish.measure.frontier import Frontier, Point
from pilotfish.measure.metrics import ece
from pilotfish.measure.report import (
    Block,
    Column,
    Figure,
    Gates,
    Highlight,
    Paragraph,
    Report,
    Section,
    Table,
    plots,
)

if TYPE_CHECKING:
    from pilotfish.compete.advise import Advice
    from pilotfish.compete.verdict import Verdict
    from pilotfish.measure.intervals import Interval
    from pilotfish.measure.report.document import Cell

FIRST_ROWS = 10_000
ANSWERS = {
    "small": "Small model",
    "large": "Large model",
    "cascade": "Cascade",
    "large at training time only": "Large at training time only",
}


def page(advice: Advice) -> Report:
    """Return the report of an advice, for the terminal and for HTML."""
    verdict, task = advice.verdict, advice.task
    worth = errors_page(advice.candidates, "USD" if any(one.dollars for one in advice.candidates) else "seconds")
    return Report(
        title=f"Small, large, or both? {len(task.labels)} labels, {len(task.train) + len(task.test):,} labelled rows",
        verdict=verdict.reason,
        answer=ANSWERS[verdict.answer],
        notes=[
            ("What would flip it", _sentence(verdict.flip)),
            ("Settled?", settled(verdict, len(advice.contenders), advice.settings.alpha)),
        ],
        highlights=_highlights(advice),
        sections=[
            Section("The candidates", _candidates(advice)),
            Section(
                "Cost and quality",
                cost_blocks(advice.candidates, advice.verdict.chosen, taught=advice.distilled is not None),
            ),
            *([Section("What an error costs you", worth)] if worth else []),
            Section("How many labels it takes", curves(advice)),
            *([Section("Using both models", both_models(advice))] if advice.judged else []),
            Section("Where the choice is wrong", errors(advice)),
            Section("Every role of small models", survey_page(advice.findings)),
            Section("Hard gates", [Gates(advice.gates, "Checked before the choice is put to work.")]),
            Section("The data and the method", method(advice)),
        ],
        footer="Made by `pilotfish advise`. Intervals are 95% unless said otherwise.",
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def settled(verdict: Verdict, contenders: int, alpha: float) -> str:
    """Say whether the rows settle the verdict among so many candidates, at a one-sided error rate."""
    if contenders < 2:
        return "Only small models were measured; among them the choice was made on rows kept back from training."
    if verdict.settled:
        return (
            f"Yes: on {verdict.rows:,} held-out rows that all have answered, the choice is shown to be at most "
            f"{verdict.margin * 100:.3g} points worse than each of the others (paired, one-sided {alpha:.0%})."
        )
    best = "most accurate" if verdict.chosen.counted else "best"
    return f"No: {verdict.rows:,} shared held-out rows are too few; the choice is the {best} one so far."


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
        items.append(Highlight("A thousand rows", dollars(chosen.dollars), _seconds(chosen.seconds, 1000)))
    return items


def _candidates(advice: Advice) -> list[Block]:
    chosen = advice.verdict.chosen
    uneven = len({len(one.rows) for one in advice.candidates}) > 1
    parsed = any(one.details.get("how") == "answer parsed" for one in advice.candidates)
    columns = [
        Column("Candidate"),
        Column("Accuracy", "right", ".1%", "max", "95% Wilson"),
        Column("Macro-F1", "right", ".3f", "max"),
        Column("ECE", "right", ".3f", "min", "calibration error"),
        *([Column("Rows", "right", ",", help="held out")] if uneven else []),
        *([Column("No label", "right", ",", help="parse failures")] if parsed else []),
    ]
    rows: list[list[Cell]] = [
        [
            one.title,
            one.accuracy,
            one.macro_f1,
            _ece(advice, one),
            *([len(one.rows)] if uneven else []),
            *([one.failures if one.details.get("how") == "answer parsed" else None] if parsed else []),
        ]
        for one in advice.candidates
    ]
    table = Table(
        columns,
        rows,
        f"Every candidate on the {len(advice.task.test):,} held-out rows, which taught and tuned nothing.",
        chosen=next(i for i, one in enumerate(advice.candidates) if one is chosen),
        note=_sample_note(advice),
    )
    forest = plots.forest_plot(
        [(one.title, one.accuracy) for one in advice.candidates],
        chosen=chosen.title,
        title="Accuracy of each candidate",
    )
    gaps: list[list[Cell]] = [[key, interval] for key, interval in _titled(advice).items()]
    blocks: list[Block] = [
        Figure(forest, "Accuracy on the held-out rows with its 95% interval, the choice set off."),
        table,
    ]
    if gaps:
        blocks.append(
            Table(
                [
                    Column("Against"),
                    Column("Difference in accuracy", "right", "+.1%", help="choice minus other, paired"),
                ],
                gaps,
                f"The choice against the other answers on the same {advice.verdict.rows:,} rows (95%, paired).",
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


def cost_blocks(candidates: Sequence[Candidate], chosen: Candidate, *, taught: bool) -> list[Block]:
    """Return the frontier of cost and quality, and what each candidate takes to run.

    Args:
        candidates: baselines have no place on the frontier.
        chosen: one of them.
        taught: a teacher was paid for, once, so the cost is that of many rows, not of one.
    """
    priced = any(one.dollars for one in candidates)
    rows = FIRST_ROWS if taught else 1000
    points = []
    for one in candidates:
        cost = cost_of(one, rows, priced=priced)
        if cost is not None and one.family != "baseline":
            points.append(Point(one.title, cost, one.accuracy))
    if not points:
        return [_costs(candidates, chosen)]
    unit = f"{'USD' if priced else 'seconds'} {'for the first' if taught else 'per'} {rows:,} rows"
    frontier = Frontier(points, unit)
    svg = plots.frontier_plot(frontier, chosen=chosen.title if any(p.name == chosen.title for p in points) else None)
    best = ", ".join(point.name for point in frontier.optimal)
    return [
        Figure(svg, f"Quality against {unit}; the dashed line is what mixing the best of them at random gives."),
        Paragraph(f"No other candidate is both cheaper and better than: {best}."),
        _costs(candidates, chosen),
    ]


def _costs(candidates: Sequence[Candidate], chosen: Candidate) -> Table:
    """Return the table of what each candidate takes to run; only the columns of which something is known."""
    kinds = " and ".join(sorted({one.joules_kind for one in candidates if one.joules_kind}))
    columns: list[tuple[Column, list[Cell]]] = [
        (
            Column("s / 1,000", "right", help="rows, in batches"),
            [digits(one.seconds, 1000) for one in candidates],
        ),
        (Column("p50 ms", "right", help="one row"), [digits(one.p50, 1000) for one in candidates]),
        (Column("p95 ms", "right", help="one row"), [digits(one.p95, 1000) for one in candidates]),
        (
            Column("$ / 1,000", "right", help="rows"),
            [None if one.dollars is None else dollars(one.dollars) for one in candidates],
        ),
        (Column("J / 1,000", "right", help=kinds), [digits(one.joules, 1000) for one in candidates]),
        (
            Column("MiB", "right", help="weights"),
            [digits(one.weights / 2**20) if one.weights else None for one in candidates],
        ),
    ]
    shown = [(column, cells) for column, cells in columns if any(cell is not None for cell in cells)]
    return Table(
        [Column("Candidate"), *(column for column, _ in shown)],
        [[one.title, *(cells[i] for _, cells in shown)] for i, one in enumerate(candidates)],
        "What each candidate takes to run; a dash is not known, or not measured.",
        chosen=next(i for i, one in enumerate(candidates) if one is chosen),
        note=(
            "Models on this machine cost seconds and joules, no dollars. A cascade takes what the small model takes, "
            "and for the share of rows that it defers, what the large one takes. What a distilled student's teacher "
            "took, once, stands with the use of both models."
        ),
    )


def cost_of(one: Candidate, rows: int, *, priced: bool) -> float | None:
    """Return what a candidate takes for its first rows, a teacher's answers included: US dollars, or else seconds.

    None where that is not known.
    """
    each, once = (one.dollars, one.once) if priced else (one.seconds, float(one.details.get("teacher_seconds", 0.0)))
    return None if each is None or once is None else once + rows * each


def dollars(a_row: float) -> str:
    """Return the dollars of a thousand rows: to the cent, or to two digits where that is less than ten cents."""
    thousand = a_row * 1000
    return f"${thousand:,.2f}" if thousand >= 0.1 or thousand == 0 else f"${thousand:.2g}"


def digits(value: float | None, times: float = 1.0) -> str | None:
    """Return a number times a factor with two digits below 10 and whole above, never in powers of ten."""
    if value is None:
        return None
    number = value * times
    if number >= 10:
        return f"{number:,.0f}"
    if number == 0 or number >= 1:
        return f"{number:.1f}".removesuffix(".0")
    return f"{number:.2g}" if number >= 0.001 else "< 0.001"


def _milliseconds(seconds: float | None) -> str:
    shown = digits(seconds, 1000)
    return "–" if shown is None else f"{shown} ms"


def _seconds(seconds: float | None, rows: int) -> str:
    shown = digits(seconds, rows)
    return "" if shown is None else f"{shown} s in batches"
