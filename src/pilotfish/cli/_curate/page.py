"""A report as a page beside the rows, where the extra that draws it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pilotfish.cli._common import say

if TYPE_CHECKING:
    from pilotfish.measure.report import Report

__all__ = ["write_page"]


def write_page(path: Path, report: Report) -> None:
    """Write the page; where jinja2 is not installed, say what would make it."""
    from pilotfish.errors import MissingExtra
    from pilotfish.measure.report import render_html
    from pilotfish.rows._atomic import atomic

    try:
        page = render_html(report)
    except MissingExtra as error:
        say(f"no {path.name}: {error}")
        return
    with atomic(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))
