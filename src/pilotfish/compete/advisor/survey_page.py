"""The survey in a report: every leaf, whether it applies, whether it was tried, and what it gained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilotfish.compete.advisor.leaves import LEAVES, Finding
from pilotfish.compete.advisor.worth import envelope
from pilotfish.measure.report import Block, Column, Paragraph, Table

if TYPE_CHECKING:
    from pilotfish.compete.candidate import Candidate
    from pilotfish.measure.report.document import Cell

__all__ = ["errors_page", "survey_page"]

_TITLES = {leaf.key: leaf for leaf in LEAVES}


def survey_page(findings: Sequence[Finding]) -> list[Block]:
    """Return the blocks: what was tried, with what it gained; then what was not tried, and what does not apply."""
    blocks: list[Block] = [
        Paragraph(
            f"Every role that the survey names was weighed: {_count(findings, 'tried')} tried, "
            f"{_count(findings, 'not tried')} not, and {_count(findings, 'does not apply')} do not apply here."
        )
    ]
    tried = [one for one in findings if one.status == "tried"]
    if tried:
        rows: list[list[Cell]] = [
            [_TITLES[one.leaf].title, one.why, one.gain, _times(one.faster), _times(one.cheaper), one.base or None]
            for one in tried
        ]
        columns = [
            Column("Role"),
            Column("What was tried"),
            Column("Gain", "right", "+.3f", help="in the score, 95%, paired"),
            Column("Speed", "right", help="a row, against"),
            Column("Price", "right", help="a row, against"),
            Column("Against"),
        ]
        shown = [i for i in range(len(columns)) if i not in (3, 4) or any(row[i] is not None for row in rows)]
        blocks.append(Table([columns[i] for i in shown], [[row[i] for i in shown] for row in rows], "What was tried."))
    for status, caption in (
        ("not tried", "What applies and was not tried, and why."),
        ("does not apply", "What does not apply here, and why."),
    ):
        rest = [one for one in findings if one.status == status]
        if rest:
            cells: list[list[Cell]] = [[_TITLES[one.leaf].title, one.why] for one in rest]
            blocks.append(Table([Column("Role"), Column("Why")], cells, caption))
    return blocks


def errors_page(candidates: Sequence[Candidate], unit: str) -> list[Block]:
    """Return which candidate is cheapest for which price of an error; nothing where one always is."""
    spans = envelope(candidates, unit)
    if len(spans) < 2:
        if not spans:
            return []
        return [Paragraph(f"Whatever an error costs, {spans[0].one.title} is the cheapest of all that were measured.")]
    rows: list[list[Cell]] = [[_span(one.low, one.high, unit), one.one.title, one.one.accuracy] for one in spans]
    columns = [Column("An error costs"), Column("Cheapest"), Column("Score", "right", ".1%")]
    note = (
        "What a row takes, plus the share of it that is wrong times what an error costs you."
        if unit == "USD"
        else "Nothing here has a price in dollars, so an error is weighed in seconds of this machine."
    )
    return [Table(columns, rows, "What to deploy, by what a wrong answer costs you.", note=note)]


def _count(findings: Sequence[Finding], status: str) -> int:
    return len({one.leaf for one in findings if one.status == status})


def _times(ratio: float | None) -> str | None:
    if ratio is None:
        return None
    if ratio >= 1:
        return f"÷ {ratio:,.0f}" if ratio >= 10 else f"÷ {ratio:.1f}"
    return f"× {1 / ratio:,.0f}" if ratio <= 0.1 else f"× {1 / ratio:.1f}"


def _span(low: float, high: float, unit: str) -> str:
    shown = [_price(one, unit) for one in (low, high)]
    if low == 0:
        return f"up to {shown[1]}"
    return f"more than {shown[0]}" if math.isinf(high) else f"{shown[0]} to {shown[1]}"


def _price(value: float, unit: str) -> str:
    if unit != "USD":
        return f"{value:,.3g} s"
    return f"${value:,.2f}" if value >= 0.1 else f"${value:.2g}"
