"""`pilotfish evaluate`: a cascade or a route beside its models; or, with --metrics, any model by what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import RunsFile, say
from pilotfish.cli._engine import engine_options
from pilotfish.cli._evaluate_meta import meta_command, teach_command
from pilotfish.cli._evaluate_retrieval import retrieval_command
from pilotfish.cli._trial import Tried, several_trial_options, tried

if TYPE_CHECKING:
    from pilotfish.infer.review import Review
    from pilotfish.infer.trial import Outcome

__all__ = ["command", "outcome_of", "show"]


@click.group("evaluate", cls=RunsFile)
def command() -> None:
    """Judge what models answer, and what judges them.

    `pilotfish evaluate FILE ROWS` judges a collaboration, or with --metrics the answers of any model; it is short for
    `pilotfish evaluate run FILE ROWS`. `meta` tells how far metrics agree with people, `teach` makes one that does;
    `retrieval` judges what retrievers find.
    """


@command.command(RunsFile.run)
@click.argument("file")
@click.argument("rows")
@several_trial_options
@click.option(
    "--metrics",
    multiple=True,
    help="Score the answers by this: a [metrics] table of FILE, or bertscore, rougeL ...; repeatable.",
)
@click.option("--column", default="answer", show_default=True, help="With --metrics: the new column of the answers.")
@click.option("--reference", help="With --metrics: the column of references, where a table does not say.")
@click.option("--source", help="With --metrics: the column of sources, where a table does not say.")
@click.option("--against", multiple=True, help="With --metrics: a column of recorded answers to compare; repeatable.")
@click.option("--worst", type=click.IntRange(0), help="With --metrics: rows to show on the page.  [default: 5]")
@click.option("--json", "as_json", is_flag=True, help="With --metrics: print the figures as JSON.")
@engine_options
@click.option("--group-by", help="A column: rows with the same value are drawn together for the intervals.")
@click.option("--report", "report_file", help="Write all figures into this JSON file; with --metrics .html is a page.")
def run(file: str, rows: str, **flags: Any) -> None:
    """Judge a collaboration of FILE on ROWS: quality, cost and latency beside those of each of its models.

    Every model that it chooses between answers every row once, so that the figures hold for any threshold, and the
    score by which it chooses is judged beside random order, the prompt's length and the oracle. Nothing that was
    answered is asked again: the same command goes on with a stopped run, and `pilotfish calibrate` with the same --out
    takes the answers over.

    With --metrics any model will do: it answers every row, and each metric scores the answers. Of several models, and
    of columns with recorded answers, the same rows are compared. --out then holds a folder a model, with its
    scored.jsonl; another metric asks for no answer again.
    """
    if flags["metrics"]:
        from pilotfish.cli._evaluate import by_metrics

        by_metrics(file, rows, flags)
        return
    from pilotfish.infer.review import review

    _check(flags)
    done = tried(file, rows, flags | {"model": next(iter(flags["model"]), None)})
    groups = done.groups(flags["group_by"])
    outcome, scores = outcome_of(done)
    show(review(done.name, done.trials, outcome, scores, groups=groups, seed=flags["seed"]), flags["report_file"])


command.add_command(meta_command)
command.add_command(teach_command)
command.add_command(retrieval_command)

_OF_METRICS = ("reference", "source", "against", "worst", "as_json", "engine", "workers", "cpus", "gpus", "address")


def _check(flags: dict[str, Any]) -> None:
    """Refuse what nothing would look at.

    Raises:
        ConfigError: an option of metrics without one.
    """
    from pilotfish.errors import ConfigError

    for name in _OF_METRICS:
        if flags[name] not in (None, False, ()):
            raise ConfigError(f"--{name.removeprefix('as_')} is of --metrics, of which there is none")
    if len(flags["model"]) > 1:
        raise ConfigError("--model: several are compared by --metrics only")


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
