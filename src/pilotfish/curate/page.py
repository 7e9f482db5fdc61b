"""A curation's report as a page: each step with what it kept, why the rest went, and examples of both."""

from __future__ import annotations

from pilotfish.curate.report import BINS, Curated, StepReport
from pilotfish.measure.report import Block, Column, Details, Highlight, Report, Section, Table

__all__ = ["page_of"]


def page_of(report: Curated) -> Report:
    """Return the report of a curation as a document."""
    columns = [Column("Step"), *(Column(name, "right") for name in ("In", "Dropped", "Bad"))]
    rows: list[list[str | int | float]] = [
        [f"{step.number}. {step.title}", step.rows_in, step.dropped, step.rejected, step.kept_ratio]
        for step in report.steps
    ]
    table = Table([*columns, Column("Pass", "right", ".1%")], rows, "What each step let pass")
    return Report(
        "Which rows are worth learning from?",
        report.summary(),
        [Section("Steps", [table]), *(_section(step) for step in report.steps)],
        answer=f"{report.kept_ratio:.1%} kept",
        highlights=[
            Highlight("Rows in", f"{report.rows_in:,}"),
            Highlight("Kept", f"{report.kept:,}", "kept.jsonl"),
            Highlight("Dropped", f"{report.dropped:,}", "dropped.jsonl, each with its reason"),
            Highlight("Bad", f"{report.rejected:,}", "rejects.jsonl"),
        ],
    )


def _section(step: StepReport) -> Section:
    blocks: list[Block] = []
    if step.reasons:
        ordered = sorted(step.reasons.items(), key=lambda one: (-one[1], one[0]))
        shares: list[list[str | int | float]] = [[kind, count, count / step.rows_in] for kind, count in ordered]
        columns = [Column("Reason"), Column("Rows", "right"), Column("Share", "right", ".1%")]
        blocks.append(Table(columns, shares, "Why rows were dropped"))
    if step.counts:
        found: list[list[str | int]] = [[kind, count] for kind, count in sorted(step.counts.items())]
        blocks.append(Table([Column("Kind"), Column("Found", "right")], found, "What was found"))
    if step.scores is not None:
        both = zip(step.scores["kept"], step.scores["dropped"], strict=True)
        bins: list[list[str | int]] = [
            [f"{i / BINS:.2f} to {(i + 1) / BINS:.2f}", kept, dropped] for i, (kept, dropped) in enumerate(both)
        ]
        columns = [Column("Score"), Column("Kept", "right"), Column("Dropped", "right")]
        blocks.append(Details("Scores", [Table(columns, bins, "Rows by their scores")]))
    dropped = [[one["reason"], one["text"]] for some in step.dropped_samples.values() for one in some]
    if dropped:
        named = [Column("Reason"), Column("Text, its beginning")]
        blocks.append(Details("Dropped rows, some of each reason", [Table(named, dropped, "Dropped")], open=True))
    if step.kept_samples:
        kept = [[text] for text in step.kept_samples]
        blocks.append(Details("Rows that passed", [Table([Column("Text, its beginning")], kept, "Passed")]))
    return Section(f"{step.number}. {step.title}: {step.kept_ratio:.1%} pass", blocks)
