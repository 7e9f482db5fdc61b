"""Scores as a page: how they spread, the means, what was odd, and the worst rows with what was found and not found."""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.evaluate.judged import Against, Case, Judged
from pilotfish.measure.report import (
    Block,
    Column,
    Figure,
    Highlight,
    Paragraph,
    Report,
    Section,
    SideBySide,
    Table,
    plots,
)
from pilotfish.measure.report.document import Cell

__all__ = ["page_of"]

_PLOTTED = 8  # systems in one plot


def page_of(found: Sequence[Judged], compared: Sequence[Against] = (), *, title: str = "How good are they?") -> Report:
    """Return the report of scores.

    Args:
        found: every system by every metric.
        compared: pairs of systems on the same rows.
        title: of the page.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    names = list(dict.fromkeys(one.metric.name for one in found))
    sections = [Section("All scores", _overview(found, compared))]
    sections += [_section(name, [one for one in found if one.metric.name == name]) for name in names]
    top = [
        Highlight(_titled(one), f"{one.mean.value:.3f}", f"{one.mean.low:.3f} to {one.mean.high:.3f}") for one in found
    ]
    return Report(
        title,
        _verdict(found, compared),
        sections,
        highlights=top[:4],
        footer="Made by `pilotfish`. Intervals are 95%, by the bootstrap over rows (or groups of them).",
    )


def _verdict(found: Sequence[Judged], compared: Sequence[Against]) -> str:
    rows = max(len(one.scores) for one in found)
    systems = len({one.system for one in found})
    metrics = len({one.metric.name for one in found})
    text = f"{rows:,} rows by {metrics} metric{'s' * (metrics > 1)}"
    text += f", {systems} systems" if systems > 1 else ""
    apart = [one for one in compared if one.above.low > 0 or one.above.high < 0]
    if not compared:
        return f"{text}."
    told = [
        f"by {one.metric} {one.system} is {'above' if one.above.value > 0 else 'below'} {one.other}" for one in apart
    ]
    return f"{text}: {'; '.join(told) if told else 'no two systems are told apart'}."


def _overview(found: Sequence[Judged], compared: Sequence[Against]) -> list[Block]:
    several = len({one.system for one in found}) > 1
    rejected = any(one.rejected for one in found)
    columns = [
        *([Column("System")] if several else []),
        Column("Metric"),
        Column("Mean", "right", ".3f", help="95%"),
        Column("Rows", "right", ","),
        Column("Odd", "right", ",", help="rows"),
        *([Column("Not scored", "right", ",", help="rows")] if rejected else []),
    ]
    rows: list[list[Cell]] = [
        [
            *([one.system] if several else []),
            one.metric.name if one.metric.higher else f"{one.metric.name} (less is better)",
            one.mean,
            len(one.scores),
            sum(1 for note in one.scores.notes if note),
            *([one.rejected] if rejected else []),
        ]
        for one in found
    ]
    blocks: list[Block] = [Table(columns, rows, "Every metric's mean with its interval.")]
    if compared:
        columns = [Column(name) for name in ("Metric", "System", "Against")]
        columns += [
            Column("Difference", "right", "+.3f", help="paired, 95%"),
            Column("Rows", "right", ",", help="of both"),
        ]
        pairs: list[list[Cell]] = [[one.metric, one.system, one.other, one.above, one.rows] for one in compared]
        blocks.append(Table(columns, pairs, "Systems on the same rows, the system less the other."))
    return blocks


def _section(name: str, found: Sequence[Judged]) -> Section:
    some = found[:_PLOTTED]
    drawn = plots.histogram_plot(
        [(one.system or name, one.scores.values) for one in some],
        means=[one.mean for one in some],
        quality=name,
        title=f"How the scores by {name} spread",
    )
    first = f" The first {_PLOTTED} of {len(found)} systems." if len(found) > _PLOTTED else ""
    less = "" if found[0].metric.higher else " Less is better."
    blocks: list[Block] = [
        Paragraph(f"{found[0].scores.metric}.{less}", "note"),
        Figure(drawn, f"Rows by their scores; the line is the mean, the band around it its interval.{first}"),
    ]
    odd: list[list[Cell]] = [
        [kind, one.system or "all", count, count / len(one.scores)]
        for one in found
        for kind, count in one.scores.odd().items()
    ]
    if odd:
        columns = [Column("What"), Column("System"), Column("Rows", "right", ","), Column("Share", "right", ".1%")]
        blocks.append(Table(columns, odd, "What was odd about rows; they have a score all the same."))
    if any(share is not None for one in found for case in one.worst for text in case.texts for _, share in text.pieces):
        blocks.append(
            Paragraph(
                "The worst rows. The more a part is shaded and lined, the less of it was found in the other text."
            )
        )
    for one in found:
        blocks += [_case(case, one.system) for case in one.worst]
    return Section(name, blocks)


def _case(case: Case, system: str) -> SideBySide:
    whose = f"{system}, row" if system else "Row"
    return SideBySide(f"{whose} {case.number:,}: {case.score:.3f}", case.texts, case.note)


def _titled(one: Judged) -> str:
    return f"{one.metric.name}, {one.system}" if one.system else one.metric.name
