"""What `pilotfish advise` prints at its end, whatever the task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from pilotfish.compete.advise import Advice
    from pilotfish.compete.advisor.advised import Advised
    from pilotfish.measure.report import Report

__all__ = ["show"]


def show(found: Advice | Advised, page: Callable[[], Report], out: Path, console: Console) -> None:
    """Print the report on standard error's terminal, and the verdict and the paths on standard output."""
    from rich.console import Console as Terminal

    from pilotfish.measure.report import render_terminal

    if not console.quiet:
        render_terminal(page(), Terminal())
    verdict = found.verdict
    click.echo(f"verdict: {verdict.answer}")
    click.echo(f"reason: {verdict.reason}")
    click.echo(f"what would flip it: {verdict.flip}")
    for gate in found.gates:
        if gate.status == "fail":
            click.echo(f"GATE FAILED: {gate.name}: {gate.text}")
    click.echo(f"report: {out / 'report.html'}")
    click.echo(f'try it: pilotfish ask {out / "pilotfish.toml"} "…" --trace')
