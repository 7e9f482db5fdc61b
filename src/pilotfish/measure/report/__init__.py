"""The report: a small document, shown in the terminal or as one self-contained HTML page.

    report = Report("Which model should sort the tickets?", "The small one.", [Section("Evidence", [table])])
    render_terminal(report)
    Path("report.html").write_text(render_html(report), encoding="utf-8")

`render_html` and the plots (`pilotfish.measure.report.plots`) need the extra `report`.
"""

from __future__ import annotations

from pilotfish.measure.report.document import (
    Block,
    Code,
    Column,
    Details,
    Figure,
    Gate,
    Gates,
    Highlight,
    KeyValues,
    MarkedText,
    Paragraph,
    Report,
    Section,
    SideBySide,
    Svg,
    Table,
    WeighedText,
)
from pilotfish.measure.report.html import render_html
from pilotfish.measure.report.terminal import render_terminal

__all__ = [
    "Block",
    "Code",
    "Column",
    "Details",
    "Figure",
    "Gate",
    "Gates",
    "Highlight",
    "KeyValues",
    "MarkedText",
    "Paragraph",
    "Report",
    "Section",
    "SideBySide",
    "Svg",
    "Table",
    "WeighedText",
    "render_html",
    "render_terminal",
]
