"""What `score` and `evaluate --metrics` tell of scores: lines, and a report as JSON or as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import say

if TYPE_CHECKING:
    from pilotfish.evaluate.judged import Against, Judged

__all__ = ["say_odd", "tell", "write_report"]


def tell(found: Sequence[Judged], compared: Sequence[Against] = ()) -> None:
    """Print a line a system and metric, and one a pair of systems; what was odd goes to standard error."""
    systems = {one.system for one in found}
    names = [f"{one.metric.name}, {one.system}" if len(systems) > 1 else one.metric.name for one in found]
    wide = max(map(len, names))
    for name, one in zip(names, found, strict=True):
        parts = [f"{part} {column.mean():.3f}" for part, column in one.scores.parts.items()]
        further = f"  ({', '.join(parts)})" if parts else ""
        click.echo(f"{name:<{wide}}  {one.mean}  n = {len(one.scores):,}{further}")
    for pair in compared:
        click.echo(f"{pair.metric}: {pair.system} - {pair.other}: {pair.above:+.3f}  n = {pair.rows:,}")
    say_odd(found)


def say_odd(found: Sequence[Judged]) -> None:
    """Print what was odd about rows, on standard error."""
    for one in found:
        for kind, count in one.scores.odd().items():
            whose = f"{one.system}: " if one.system else ""
            say(f"{whose}{one.metric.name}: {kind}: {count:,} of {len(one.scores):,} rows")


def write_report(
    path: Path, found: Sequence[Judged], compared: Sequence[Against], figures: Mapping[str, Any], title: str
) -> None:
    """Write the page where the file's name ends in .html, else the figures as JSON.

    Raises:
        MissingExtra: what draws the page is not installed.
    """
    from pilotfish.rows._atomic import atomic

    if path.suffix.lower() in (".html", ".htm"):
        from pilotfish.evaluate.page import page_of
        from pilotfish.measure.report import render_html

        text = render_html(page_of(found, compared, title=title))
    else:
        text = json.dumps(figures, ensure_ascii=False, indent=1) + "\n"
    with atomic(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    say(f"{'page' if path.suffix.lower().startswith('.htm') else 'figures'} in {path}")
