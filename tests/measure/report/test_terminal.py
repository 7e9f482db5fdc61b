from __future__ import annotations

import io

import pytest
from rich.console import Console

from pilotfish.measure.report import Block, Gate, Gates, Paragraph, Report, Section, render_terminal

from .sample import NASTY, report


@pytest.mark.parametrize("width", [60, 140])
def test_every_block_shows_and_markup_stays_text(width: int) -> None:
    out = io.StringIO()
    render_terminal(report(), Console(file=out, width=width, color_system=None))
    text = out.getvalue()
    for word in ("Small model", "What would flip it", "92.9%", "Evidence", "PASS", "WARN", "FAIL", "Facts", "More"):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= width
    if width == 140:
        assert NASTY in text
        assert "0 *" in text  # the best cost is marked by more than colour
        assert "→ │ encoder + head" in text
        assert "92.9% [91.7%, 94.1%]" in text and "[plot] Few classes." in text


def test_square_brackets_are_not_styles() -> None:
    out = io.StringIO()
    blocks: list[Block] = [Paragraph("[bold]x[/bold]"), Gates([Gate("[red]", "pass", "[/red]")])]
    render_terminal(Report("[i]t", "[/i]", [Section("[s]", blocks)]), Console(file=out, width=80))
    for text in ("[bold]x[/bold]", "[red]", "[/red]", "[i]t", "[/i]", "[s]"):
        assert text in out.getvalue()
