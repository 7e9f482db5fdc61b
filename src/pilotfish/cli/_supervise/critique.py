"""`pilotfish supervise critique`: corrections and preferences made of critiques."""

from __future__ import annotations

import json

import click

from pilotfish.cli._common import Stopped, rows_of, say

__all__ = ["critique_command"]


@click.command("critique")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def critique_command(file: str, as_json: bool, quiet: bool) -> None:
    """Have a model criticise and correct the answers that [supervise.critiques] of FILE names.

    The folder then holds corrections.jsonl (question, answer, critique, correction; an answer with which nothing is
    wrong is its own correction), which `corrector` learns from, and preferences.jsonl (prompt, chosen, rejected), which
    `reward` does. With a `judge` a correction counts only where it has the higher grade. No call is made twice: the
    same command goes on where a stopped run was.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_judge import grades_of
    from pilotfish.errors import ConfigError
    from pilotfish.rows._lock import locked
    from pilotfish.supervise.critiques import critiqued

    models = Collaboration.load(file)
    spec = models.supervise.critiques if models.supervise is not None else None
    if spec is None:
        raise ConfigError(f"{file}: no [supervise.critiques] table: it says which answers are criticised, and by whom")
    own = spec.model_dump(exclude={"rows", "model", "out", "reviser", "judge"}, exclude_none=True)
    out = models.folder / spec.out
    try:
        with locked(out):
            found = critiqued(
                rows_of(models, spec.rows, [spec.question, spec.answer]),
                models.model(spec.model),
                out,
                reviser=None if spec.reviser is None else models.model(spec.reviser),
                judge=None if spec.judge is None else grades_of(models, spec.judge),
                progress=not quiet,
                **own,
            )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on, all finished calls are in {spec.out}") from None
    if as_json:
        click.echo(json.dumps(found.report.to_json()))
    else:
        say(str(found.report))
