"""`pilotfish prompts`: small models choose what a large one is told: instructions, demonstrations, sub-questions."""

from __future__ import annotations

import json

import click

from pilotfish.cli._common import RunsFile, Stopped, say
from pilotfish.cli._prompts.rows import decomposer_command, soft_command
from pilotfish.cli._prompts.teach import retriever_command

__all__ = ["command"]


@click.group("prompts", cls=RunsFile)
def command() -> None:
    """Let small models choose what a large one is told.

    `pilotfish prompts FILE` searches for an instruction, and is short for `pilotfish prompts run FILE`. The other
    commands teach a retriever of demonstrations, label rows for soft demonstrations, and make rows that teach a model
    to take questions apart.
    """


@command.command(RunsFile.run)
@click.argument("file")
@click.option("--out", help="The folder for the instruction and the report.  [default: the table's]")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run(file: str, out: str | None, as_json: bool, quiet: bool) -> None:
    """Search for an instruction, as [prompts.instruction] of FILE says, and prove it on rows that chose nothing.

    Rows are split before anything is chosen. Candidates are the table's and a proposer's; a small model sifts them
    first, where there is one, and the large model races what is left: few rows for all, more for those that stay, and
    who is behind for sure goes. The winner is compared with the present instruction on the rows kept back. The folder
    holds prompt.txt, report.json, prompt.toml (a table to put into FILE), and every paid answer, so that the same
    command goes on with a stopped run and asks nothing twice.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.cli._prompts.instruct import searched

    models = Collaboration.load(file)
    try:
        report, folder = searched(models, file, out, progress=not quiet)
    except KeyboardInterrupt:
        raise Stopped("stopped; the same command goes on, and asks nothing again that was answered") from None
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        say(str(report))
        say(f"{folder / 'prompt.txt'}; {folder / 'prompt.toml'} is the table that takes it")


command.add_command(retriever_command)
command.add_command(soft_command)
command.add_command(decomposer_command)
