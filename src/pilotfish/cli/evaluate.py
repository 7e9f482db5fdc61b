"""`pilotfish evaluate`: a cascade or a route beside its models, mixing, and what any score must beat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import say
from pilotfish.cli._trial import Tried, trial_options, tried

if TYPE_CHECKING:
    from pilotfish.infer.review import Review
    from pilotfish.infer.trial import Outcome

__all__ = ["command", "outcome_of", "show"]


@click.command("evaluate")
@click.argument("file")
@click.argument("rows")
@trial_options
@click.option("--group-by", help="A column: rows with the same value are drawn together for the intervals.")
@click.option("--report", "report_file", help="Write all figures into this JSON file too.")
def command(file: str, rows: str, **flags: Any) -> None:
    """Judge a collaboration of FILE on ROWS: quality, cost and latency beside those of each of its models.

    Every model that it chooses between answers every row once, so that the figures hold for any threshold, and the
    score by which it chooses is judged beside random order, the prompt's length and the oracle. Nothing that was
    answered is asked again: the same command goes on with a stopped run, and `pilotfish calibrate` with the same --out
    takes the answers over.
    """
    from pilotfish.infer.review import review

    done = tried(file, rows, flags)
    groups = done.groups(flags["group_by"])
    outcome, scores = outcome_of(done)
    show(review(done.name, done.trials, outcome, scores, groups=groups, seed=flags["seed"]), flags["report_file"])


def outcome_of(done: Tried) -> tuple[Outcome, dict[str, Any]]:
    """Return what the collaboration, as it is, made of the rows, and its router's score where it has one."""
    import numpy as np

    from pilotfish.infer.route import Route

    if not isinstance(done.model, Route):
        return done.trials.cascaded(), {}
    quality, columns = done.model.decide_all(done.trials.texts)
    need = quality[:, -1] - quality[:, 0]
    return done.trials.chosen(np.asarray(columns)), {"its router": need}


def show(found: Review, report_file: str | None) -> None:
    """Print a review, and write it where asked."""
    from rich.console import Console

    console = Console(stderr=False)
    for part in found.shown():
        console.print(part)
    for line in found.lines():
        click.echo(line)
    if report_file is not None:
        import json

        from pilotfish.rows._atomic import atomic

        with atomic(Path(report_file)) as file:
            file.write(json.dumps(found.to_json(), ensure_ascii=False, indent=1).encode() + b"\n")
        say(f"figures in {report_file}")
