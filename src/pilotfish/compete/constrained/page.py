"""The fit as a report: the verdict first, then what every candidate takes, loses and breaks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pilotfish.compete.constrained.limits import TITLES, shown
from pilotfish.compete.constrained.task import MEASURES, perplexity
from pilotfish.compete.constrained.verdict import change, told
from pilotfish.compete.page import digits
from pilotfish.measure.frontier import Frontier, Point
from pilotfish.measure.meters import machine
from pilotfish.measure.report import (
    Block,
    Column,
    Figure,
    Gate,
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
    from pilotfish.compete.constrained.candidate import Candidate
    from pilotfish.compete.constrained.fitting import Fit
    from pilotfish.measure.report.document import Cell

__all__ = ["page"]

BUSY = 0.1  # of a candidate's time, spent waiting for a core, from which its figures are called too high


def page(fit: Fit) -> Report:
    """Return the report of a fit, for the terminal and for HTML."""
    chosen = fit.verdict.chosen
    return Report(
        title=f"What fits this machine? {len(fit.candidates)} ways to run {_models(fit)}, {len(fit.task.rows):,} rows",
        verdict=fit.verdict.reason,
        answer="Nothing fits" if chosen is None else chosen.name,
        notes=[
            ("What would flip it", fit.verdict.flip[:1].upper() + fit.verdict.flip[1:]),
            *([("Proof", _proof(fit))] if fit.proof else []),
        ],
        highlights=[] if chosen is None else _highlights(fit, chosen),
        sections=[
            Section("The limits", [Gates(_gates(fit), "Whether the choice keeps each limit.")]),
            Section("Quality, and what quantising costs", _quality(fit)),
            Section("Memory, time and energy", _costs(fit)),
            Section("Frontiers", _frontiers(fit)),
            *([Section("Not measured", [_skipped(fit)])] if fit.skipped else []),
            Section("The machine and the method", _method(fit)),
        ],
        footer="Made by `pilotfish fit`. Intervals are 95%.",
    )


def _models(fit: Fit) -> str:
    names = {one.model for one in fit.candidates}
    return names.pop() if len(names) == 1 else f"{len(names)} models"


def _label(fit: Fit, one: Candidate) -> str:
    """Return what a table calls a candidate: its runtime and precision, with the model where there are several."""
    return str(one.way) if len({other.model for other in fit.candidates}) == 1 else one.name


def _proof(fit: Fit) -> str:
    return (
        f"The exported folder was loaded again in a process of its own, every file held against its checksum, and did "
        f"{fit.proof['rows']:,} rows: the largest change of a row's score was {fit.proof['largest_change']:.2g}."
    )


def _highlights(fit: Fit, one: Candidate) -> list[Highlight]:
    measured = one.measured
    value, _, span = told(fit.task.sort, one.quality).partition(", ")
    return [
        Highlight(MEASURES[fit.task.sort].capitalize(), value.removeprefix(f"{MEASURES[fit.task.sort]} "), span),
        Highlight("Peak memory", shown("memory", measured.memory), f"{shown('disk', measured.disk)} on disk"),
        Highlight("p95", shown("p95", measured.p95), f"p50 {shown('p95', measured.p50)}, one row"),
        Highlight("Rows a day", f"{measured.rows_per_second * 86400:,.0f}", f"in batches of {measured.batch}"),
    ]


def _gates(fit: Fit) -> list[Gate]:
    one = fit.verdict.chosen or fit.verdict.nearest
    assert one is not None
    broken = {each.name: each for each in one.broken}
    gates = []
    for name, limit in fit.settings.limits.given.items():
        found = broken.get(name)
        text = f"{one.name}: {found}" if found else f"{one.name} keeps it; the limit is {shown(name, limit)}"
        gates.append(Gate(TITLES[name].capitalize(), "fail" if found else "pass", text))
    return gates or [Gate("None", "pass", "no limit was set")]


def _marked(fit: Fit) -> int | None:
    return next((i for i, one in enumerate(fit.candidates) if one is fit.verdict.chosen), None)


def _quality(fit: Fit) -> list[Block]:
    sort = fit.task.sort
    form = ".1%" if sort in ("classes", "choices") else ".3f"
    columns = [
        Column("Candidate"),
        Column(MEASURES[sort].capitalize(), "right", form, "max"),
        *([Column("Perplexity", "right", ".2f", "min", "a token")] if sort == "text" else []),
        Column("Lost", "left", help="against float32, paired"),
        Column("Breaks"),
    ]
    rows: list[list[Cell]] = [
        [
            _label(fit, one),
            one.quality,
            *([perplexity(one.measured.table)] if sort == "text" else []),
            "float32 itself" if one.lost is None else change(sort, one.lost),
            "; ".join(map(str, one.broken)) or "nothing",
        ]
        for one in fit.candidates
    ]
    note = "An interval that holds 0 means: these rows do not show a change."
    table = Table(columns, rows, f"Every candidate on the same {len(fit.task.rows):,} rows.", _marked(fit), note)
    if fit.verdict.chosen is None:
        return [table]
    forest = plots.forest_plot(
        [(_label(fit, one), one.quality) for one in fit.candidates],
        chosen=_label(fit, fit.verdict.chosen),
        title=f"{MEASURES[sort].capitalize()} of each candidate",
    )
    return [table, Figure(forest, "Quality with its 95% interval, the choice set off.")]


def _costs(fit: Fit) -> list[Block]:
    kinds = " and ".join(sorted({one.measured.energy for one in fit.candidates}))
    columns = [
        Column("Candidate"),
        Column("Cold start", "right", help="s"),
        Column("Peak", "right", ",.0f", "min", "MiB"),
        Column("Disk", "right", ",.0f", "min", "MiB"),
        Column("p50", "right", help="ms, one row"),
        Column("p95", "right", help="ms, one row"),
        Column("Rows/s", "right", help="in batches"),
        Column("Energy", "right", help=f"J a row, {kinds}"),
        Column("in batches", "right", help=f"J a row, {kinds}"),
    ]
    rows: list[list[Cell]] = []
    for one in fit.candidates:
        m = one.measured
        rows.append(
            [
                _label(fit, one),
                digits(m.cold_start),
                m.memory / 2**20,
                m.disk / 2**20,
                digits(m.p50, 1e3),
                digits(m.p95, 1e3),
                digits(m.rows_per_second),
                digits(m.joules),
                digits(m.joules_batched),
            ]
        )
    note = (
        "Peak is what the whole process held resident, its libraries and the batches included. Cold start is from the "
        "start of the process to its first answer, its libraries loaded from a disk cache that was warm."
    )
    return [Table(columns, rows, "What each candidate takes, in a fresh process of its own.", _marked(fit), note)]


def _frontiers(fit: Fit) -> list[Block]:
    blocks: list[Block] = []
    name = MEASURES[fit.task.sort].capitalize()
    chosen = None if fit.verdict.chosen is None else _label(fit, fit.verdict.chosen)
    labels = {one.name: _label(fit, one) for one in fit.candidates}
    for whole, what in ((fit.frontier, "p95 of a single row"), (fit.memory_frontier, "peak memory")):
        frontier = Frontier([Point(labels[one.name], one.cost, one.quality) for one in whole.points], whole.unit)
        svg = plots.frontier_plot(frontier, quality=name, chosen=chosen, title=f"{name} and {what}")
        best = ", ".join(point.name for point in frontier.optimal)
        blocks += [Figure(svg, f"{name} against {what}."), Paragraph(f"Nothing is better and takes less than: {best}.")]
    return blocks


def _skipped(fit: Fit) -> Table:
    rows: list[list[Cell]] = [[one.name, "failed" if one.failed else "not here", one.why] for one in fit.skipped]
    return Table([Column("Candidate"), Column("What"), Column("Why")], rows, "What could not be measured, and why.")


def _method(fit: Fit) -> list[Block]:
    facts = machine()
    how, measured = fit.settings.how, [one.measured for one in fit.candidates]
    bases = sorted({re.sub(r"[\d.e+-]+ CPU seconds", "CPU seconds", m.energy_basis) for m in measured})
    items: list[tuple[str, Cell]] = [
        ("Processor", f"{facts['cpu']}, {how.threads or facts['cores']} threads"),
        ("Instruction sets", ", ".join(facts["instructions"]) or "none of those that matter here"),
        ("Memory of the machine", shown("memory", facts["memory"])),
        ("Single rows", f"{how.seconds:g} s or 200 rows, whichever comes first, after one for warming up"),
        ("Batches", f"of {how.batch} rows"),
        ("Energy", "; ".join(bases)),
        *([("A row of text", f"64 tokens read, {how.new_tokens} written")] if fit.task.sort == "text" else []),
    ]
    for one in {each.measured.about: each for each in fit.candidates}.values():
        items.append((str(one.way), one.measured.about))
    blocks: list[Block] = [KeyValues(items, "How it was measured.")]
    busy = [one for one in fit.candidates if (one.measured.waited or 0.0) > BUSY]
    if busy:
        most = max(busy, key=lambda one: one.measured.waited or 0.0)
        blocks.append(
            Paragraph(
                f"Other work had the cores while {len(busy)} of the candidates were timed ({most.name} waited "
                f"{most.measured.waited:.0%} of its time): their times and energies are too high, and their order may "
                "be wrong; the same command with `--again`, once the machine is quiet, measures anew.",
                "warning",
            )
        )
    return [*blocks, *(Paragraph(note, "note") for note in fit.task.notes)]
