"""`pilotfish supervise`: weak supervisors label rows, a label model weighs them, a strong model learns the labels."""

from __future__ import annotations

import click

from pilotfish.cli._common import RunsFile, Stopped, say
from pilotfish.cli._supervise.critique import critique_command
from pilotfish.cli._supervise.learn import corrector_command, reward_command

__all__ = ["command"]


@click.group("supervise", cls=RunsFile)
def command() -> None:
    """Let small models teach, and align, a large one.

    `pilotfish supervise FILE` labels rows by weak supervisors and teaches a strong model the labels; it is short for
    `pilotfish supervise run FILE`. The other commands teach what aligns a model from behind: a reward model, by which
    the best of several answers is picked, and a corrector, which rewrites answers; and make the rows that both learn
    from, of critiques.
    """


@command.command(RunsFile.run)
@click.argument("file")
@click.option("--rows", help="The rows to label: a file.  [default: the table's]")
@click.option("--out", help="The folder for labels, reports and the model.  [default: the table's]")
@click.option("--labels-only", is_flag=True, help="Label the rows, and teach no model.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run(file: str, rows: str | None, out: str | None, labels_only: bool, as_json: bool, quiet: bool) -> None:
    """Label rows by the [[supervise.sources]] of FILE, and teach a strong model the labels.

    The folder then holds labels.jsonl (each row with its weak label, its probabilities and what every source said),
    sources.json (coverage, conflict, estimated accuracy; with people's labels the true one), label-model, and, with
    [supervise.strong], the model in strong, which is a classifier of any collaboration, and supervised.json: on rows
    of `test`, over several seeds, how much of the way from the weak labels to people's it came. Models are asked for
    nothing twice, and what has been taught is not taught again: the same command goes on where a stopped run was.
    """
    import json

    from pilotfish.assemble import Collaboration
    from pilotfish.cli._supervise.run import supervised

    models = Collaboration.load(file)
    try:
        told = supervised(
            models, file, {"rows": rows, "out": out}, strong=not labels_only, quiet=quiet, tell=None if as_json else say
        )
    except KeyboardInterrupt:
        raise Stopped("stopped; the same command goes on where this run was") from None
    if as_json:
        click.echo(json.dumps(told))


command.add_command(reward_command)
command.add_command(corrector_command)
command.add_command(critique_command)
