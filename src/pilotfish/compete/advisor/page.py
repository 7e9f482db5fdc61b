"""An advice of any kind of task as a report: the verdict first, then the evidence, then every leaf of the survey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilotfish.compete.advisor.survey_page import errors_page, survey_page
from pilotfish.compete.candidate import TITLES
from pilotfish.compete.page import ANSWERS, cost_blocks, digits, dollars, settled
from pilotfish.measure.report import (
    Block,
    Column,
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
    from pilotfish.compete.advisor.advised import Advised
    from pilotfish.compete.candidate import Candidate
    from pilotfish.measure.report.document import Cell

__all__ = ["page"]


def page(advice: Advised) -> Report:
    """Return the report of an advice, for the terminal and for HTML."""
    verdict = advice.verdict
    worth = errors_page(advice.candidates, advice.unit)
    taught = any(one.family == "taught" for one in advice.candidates)
    return Report(
        title=advice.title,
        verdict=verdict.reason,
        answer=ANSWERS[verdict.answer],
        notes=[
            ("What would flip it", verdict.flip[:1].upper() + verdict.flip[1:]),
            ("Settled?", settled(verdict, len(advice.contenders), advice.settings.alpha)),
        ],
        highlights=_highlights(advice),
        sections=[
            Section("The candidates", _candidates(advice)),
            Section("Cost and quality", cost_blocks(advice.candidates, verdict.chosen, taught=taught)),
            *([Section("What an error costs you", worth)] if worth else []),
            Section("Every role of small models", survey_page(advice.findings)),
            *advice.sections,
            Section("Hard gates", [Gates(advice.gates, "Checked before the choice is put to work.")]),
            Section("The data and the method", _method(advice)),
        ],
        footer="Made by `pilotfish advise`. Intervals are 95% unless said otherwise.",
    )


def _highlights(advice: Advised) -> list[Highlight]:
    chosen, large = advice.verdict.chosen, next((one for one in advice.contenders if one.family == "large"), None)
    items = [_score(advice.measure.capitalize(), chosen)]
    if large is not None and large is not chosen:
        items.append(_score("Large model", large))
    if chosen.p50 is not None:
        items.append(Highlight("Single row", f"{digits(chosen.p50, 1000)} ms", f"p95 {digits(chosen.p95, 1000)} ms"))
    if chosen.dollars is not None:
        took = digits(chosen.seconds, 1000)
        items.append(
            Highlight("A thousand rows", dollars(chosen.dollars), "" if took is None else f"{took} s in batches")
        )
    return items


def _score(title: str, one: Candidate) -> Highlight:
    worth, spec = one.accuracy, _spec([one])
    return Highlight(title, f"{worth.value:{spec}}", f"{worth.low:{spec}} to {worth.high:{spec}}")


def _spec(candidates: Sequence[Candidate]) -> str:
    """Shares that are counted read as percents, other scores as numbers."""
    return ".1%" if all(one.counted for one in candidates) else ".3f"


def _candidates(advice: Advised) -> list[Block]:
    chosen, every = advice.verdict.chosen, advice.candidates
    spec = _spec(every)
    uneven = len({len(one.rows) for one in every}) > 1
    columns = [
        Column("Candidate"),
        Column("Answer it stands for"),
        Column(advice.measure[:1].upper() + advice.measure[1:], "right", spec, "max", "95%"),
        *([Column("Rows", "right", ",", help="held out")] if uneven else []),
    ]
    rows: list[list[Cell]] = [
        [one.title, TITLES[one.family], one.accuracy, *([len(one.rows)] if uneven else [])] for one in every
    ]
    table = Table(
        columns,
        rows,
        "Every candidate on held-out rows, which taught and chose nothing.",
        chosen=next(i for i, one in enumerate(every) if one is chosen),
    )
    forest = plots.forest_plot(
        [(one.title, one.accuracy) for one in every],
        quality=advice.measure,
        chosen=chosen.title,
        spec=spec,
        title="What each candidate reaches",
    )
    blocks: list[Block] = [Figure(forest, "Each candidate with its 95% interval, the choice set off."), table]
    titles = {one.key: one.title for one in advice.contenders}
    gaps: list[list[Cell]] = [[titles[key], gap] for key, gap in advice.verdict.differences.items()]
    if gaps:
        blocks.append(
            Table(
                [
                    Column("Against"),
                    Column(
                        "Difference", "right", "+.1%" if spec == ".1%" else "+.3f", help="choice minus other, paired"
                    ),
                ],
                gaps,
                f"The choice against the other answers on the same {advice.verdict.rows:,} rows (95%, paired).",
            )
        )
    return blocks


def _method(advice: Advised) -> list[Block]:
    reading = advice.reading
    facts: list[tuple[str, Cell]] = [
        *((name.replace("_", " ").capitalize(), value) for name, value in advice.rows.items() if name != "notes"),
        ("Took", f"{reading.seconds:.0f} s of wall time" + (f", ${advice.spent:.2f}" if advice.spent else "")),
        ("Peak memory", f"{reading.peak_memory / 2**30:.2f} GiB"),
        ("Energy", f"{reading.energy.joules:.0f} J, {reading.energy.kind} ({reading.energy.basis})"),
        ("Machine", f"{advice.machine.get('cpu', 'unknown')}, {advice.machine.get('cores', '?')} cores"),
        ("Seed", advice.settings.seed),
    ]
    return [KeyValues(facts), *(Paragraph(note, "note") for note in advice.notes)]
