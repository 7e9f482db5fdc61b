"""`pilotfish synthesize`: rows written, labelled or varied by a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import RunsFile, Stopped, say
from pilotfish.cli._synthesize.people import export_command, import_command
from pilotfish.cli._synthesize.select import select_command

if TYPE_CHECKING:
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.model import Model
    from pilotfish.models.calls import Budget
    from pilotfish.synthesize.labels.estimate import Estimate
    from pilotfish.synthesize.recipe import Recipe

__all__ = ["command"]

MANY = 100  # calls of which a sample is asked first, so that what all will cost is known early


@click.group("synthesize", cls=RunsFile)
def command() -> None:
    """Let a model write, label or vary rows, and people label what it is not sure of.

    `pilotfish synthesize FILE` makes the rows that the [synthesize] table of FILE asks for: it is short for
    `pilotfish synthesize run FILE`. The other commands are for labels, [synthesize.labels].
    """


@command.command(RunsFile.run)
@click.argument("file")
@click.option("--rows", type=click.IntRange(1), help="How many rows are wanted.")
@click.option("--out", help="The folder for the rows; all calls are kept there.")
@click.option("--model", "-m", help="Who is asked: a model of FILE.")
@click.option("--max-cost", type=click.FloatRange(0, min_open=True), help="US dollars for all calls.")
@click.option("--max-calls", type=click.IntRange(1), help="The most calls.")
@click.option("--max-tokens", type=click.IntRange(1), help="The most tokens, prompts and answers together.")
@click.option("--seed", type=int, help="Of all that is drawn.")
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(["parquet", "datasets"]), help="Beside rows.jsonl."
)
@click.option("--train", is_flag=True, help="Teach the student of [synthesize.train] then, and measure it.")
@click.option("--dry-run", is_flag=True, help="Ask nothing: tell what the calls still to be made would take.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run(file: str, train: bool, dry_run: bool, as_json: bool, quiet: bool, **flags: Any) -> None:
    """Make rows as the [synthesize] table of FILE says.

    The folder holds rows.jsonl, rejects.jsonl with what was not kept and why, report.json, a card, and every call under
    the hash of its request: the same command goes on where a stopped run was, and pays for no finished call again.
    Flags win over the table. Before labels are asked for, what they will cost is told: first by counting prompts,
    then by the first calls, a seeded sample.
    """
    import json

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_synthesize import build_checks, build_synthesis
    from pilotfish.cli._synthesize.settings import settings
    from pilotfish.errors import ConfigError
    from pilotfish.models.calls import Budget
    from pilotfish.synthesize.make import synthesize

    models = Collaboration.load(file)
    spec = settings(models, file, flags)
    if train and spec.train is None:
        raise ConfigError(f"{file}: --train needs a [synthesize.train] table: what is the student measured on?")
    recipe, model = build_synthesis(spec, models)
    assert spec.out is not None
    budget = Budget(**spec.budget.model_dump())
    try:
        if dry_run and model is None:
            say(f"nothing is asked: {recipe.name} rows are made without a model")
        elif model is not None and (dry_run or (spec.labels is not None and not quiet)):
            estimate = _foretell(recipe, model, spec, budget, ask=not dry_run)
            if dry_run and as_json:
                click.echo(json.dumps(estimate.to_json()))
        if dry_run:
            return
        report = synthesize(
            recipe,
            model,
            spec.out,
            rows=spec.rows,
            checks=build_checks(spec, models, Path(spec.out), recipe),
            budget=budget,
            rounds=spec.rounds,
            reuse=spec.reuse,
            concurrency=spec.concurrency,
            seed=spec.seed,
            formats=spec.formats,
            progress=not quiet,
        )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on, all finished calls are in {spec.out}") from None
    told = report.to_json()
    if not as_json:
        say(str(report))
    if train:
        from pilotfish.cli._synthesize.train import trained

        proof = trained(models, spec)
        told["proof"] = proof.to_json()
        if not as_json:
            say(str(proof))
    if as_json:
        click.echo(json.dumps(told))


def _foretell(recipe: Recipe, model: Model, spec: SynthesizeSpec, budget: Budget, *, ask: bool) -> Estimate:
    """Tell what the calls still to be made will take, and return the first estimate."""
    from pilotfish.models.calls import Calls
    from pilotfish.synthesize.labels.estimate import counted, sampled
    from pilotfish.synthesize.make import CALLS

    assert spec.out is not None
    first = counted(recipe, model, spec.out, rows=spec.rows, seed=spec.seed)
    say(str(first))
    if not ask or first.calls < MANY:
        return first
    calls = Calls(model, Path(spec.out) / CALLS, budget=budget, concurrency=spec.concurrency, reuse=spec.reuse)
    try:
        say(str(sampled(recipe, calls, spec.out, rows=spec.rows, seed=spec.seed)))
    finally:
        calls.close()
    return first


command.add_command(select_command)
command.add_command(export_command)
command.add_command(import_command)
