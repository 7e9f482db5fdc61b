"""`pilotfish synthesize`: rows written by a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec

__all__ = ["command"]


@click.command("synthesize")
@click.argument("file")
@click.option("--rows", type=click.IntRange(1), help="How many rows are wanted.")
@click.option("--out", help="The folder for the rows; all calls are kept there.")
@click.option("--model", "-m", help="Who is asked: a model of FILE.")
@click.option("--max-cost", type=click.FloatRange(0, min_open=True), help="US dollars for all calls.")
@click.option("--max-calls", type=click.IntRange(1), help="The most calls.")
@click.option("--max-tokens", type=click.IntRange(1), help="The most tokens, prompts and answers together.")
@click.option("--seed", type=int, help="Of all that is drawn.")
@click.option("--train", is_flag=True, help="Teach the student of [synthesize.train] then, and measure it.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(file: str, train: bool, as_json: bool, quiet: bool, **flags: Any) -> None:
    """Make rows as the [synthesize] table of FILE says.

    The folder holds rows.jsonl, rejects.jsonl with what was not kept and why, report.json, a card, and every call under
    the hash of its request: the same command goes on where a stopped run was, and pays for no finished call again.
    Flags win over the table.
    """
    import json

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_synthesize import build_checks, build_recipe
    from pilotfish.errors import ConfigError
    from pilotfish.synthesize.budget import Budget
    from pilotfish.synthesize.make import synthesize

    models = Collaboration.load(file)
    spec = _spec(models, file, flags)
    if train and spec.train is None:
        raise ConfigError(f"{file}: --train needs a [synthesize.train] table: what is the student measured on?")
    recipe = build_recipe(spec, models.folder)
    assert spec.out is not None
    try:
        report = synthesize(
            recipe,
            models.model(spec.model),
            spec.out,
            rows=spec.rows,
            checks=build_checks(spec, models, Path(spec.out)),
            budget=Budget(**spec.budget.model_dump()),
            rounds=spec.rounds,
            reuse=spec.reuse,
            concurrency=spec.concurrency,
            seed=spec.seed,
            progress=not quiet,
        )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on, all finished calls are in {spec.out}") from None
    told = report.to_json()
    if not as_json:
        say(str(report))
    if train:
        from pilotfish.cli._synthesize_train import trained

        proof = trained(models, spec)
        told["proof"] = proof.to_json()
        if not as_json:
            say(str(proof))
    if as_json:
        click.echo(json.dumps(told))


def _spec(models: Collaboration, file: str, flags: dict[str, Any]) -> SynthesizeSpec:
    """Return the settings, flags over the file's table, paths from the file's.

    Raises:
        ConfigError: there is no such table, or a setting is wrong.
    """
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.assemble.check import checked
    from pilotfish.errors import ConfigError

    if models.synthesize is None:
        raise ConfigError(f"{file}: no [synthesize] table: it says what is made, and by whom")
    table = models.synthesize.model_dump(exclude_unset=True)
    if "out" in table:
        table["out"] = str(models.folder / table["out"])
    limits = {"dollars": flags["max_cost"], "calls": flags["max_calls"], "tokens": flags["max_tokens"]}
    if any(value is not None for value in limits.values()):
        given = {name: value for name, value in limits.items() if value is not None}
        table["budget"] = {**table.get("budget", {}), **given}
    for key in ("rows", "out", "model", "seed"):
        if flags[key] is not None:
            table[key] = flags[key]
    spec = checked(SynthesizeSpec, table, f"{file} [synthesize]")
    if spec.out is None:
        raise ConfigError(f"--out must be given, here or in the [synthesize] table of {file}")
    return spec
