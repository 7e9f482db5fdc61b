"""`pilotfish curate`: rows through the steps of a file, what is dropped kept aside with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import RunsFile, Stopped
from pilotfish.cli._curate.ablate import ablated, checked
from pilotfish.cli._curate.learn import learn_command
from pilotfish.cli._curate.mix import mix_command
from pilotfish.cli._curate.page import write_page
from pilotfish.cli._engine import engine_options, engine_told

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_curate import CurateSpec

__all__ = ["command"]


@click.group("curate", cls=RunsFile)
def command() -> None:
    """Keep the rows that are worth learning from, and say of every other one why not.

    `pilotfish curate FILE` sifts rows through the [[curate.steps]] of FILE; it is short for
    `pilotfish curate run FILE`. `pilotfish curate learn FILE` comes first where a step goes by a classifier of FILE.
    `pilotfish curate mix FILE` finds how much of which domain to take.
    """


@command.command(RunsFile.run)
@click.argument("file")
@click.option("--in", "source", help="The rows: a file or a datasets folder.  [default: the table's]")
@click.option("--out", help="The folder for what is kept and what is not.  [default: the table's]")
@engine_options
@click.option("--fresh", is_flag=True, help="Begin anew from the first step whose settings have changed.")
@click.option("--ablate", is_flag=True, help="Teach a small model on what was kept, dropped, and drawn; compare them.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run(
    file: str,
    source: str | None,
    out: str | None,
    fresh: bool,
    ablate: bool,
    as_json: bool,
    quiet: bool,
    **engine: Any,
) -> None:
    """Sift rows as the [curate] table of FILE says.

    The folder then holds kept.jsonl, dropped.jsonl (each row with the step and the reason), rejects.jsonl (rows without
    a text, or that could not be read), report.json and report.html. The same command goes on where a stopped run was.
    With --ablate, [curate.ablate] says who is taught and on what it is measured; ablation/ablation.json has the result.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_curate import build_curate
    from pilotfish.curate import curate
    from pilotfish.curate.page import page_of
    from pilotfish.rows._remote import is_url
    from pilotfish.rows._store import Store

    models = Collaboration.load(file)
    spec = _settings(models, file)
    where = engine_told(spec, engine, f"{file} [curate]").where
    if ablate:
        checked(spec, file)
    rows = source if source is not None else _path(models, file, spec.source, "--in")
    folder = out if out is not None else _path(models, file, spec.out, "--out")
    options = {name: value for name in ("format", "encoding") if (value := getattr(spec, name)) is not None}
    try:
        report = curate(
            rows,
            build_curate(spec, models),
            folder,
            text=spec.text,
            fresh=fresh,
            progress=not quiet,
            shard_rows=spec.shard_rows,
            read_options=options,
            engine=where,
        )
        store = Store(folder) if is_url(folder) else None
        place = Path(folder) if store is None else store.folder
        if not report.repeated:
            write_page(place / "report.html", page_of(report))
            if store is not None:
                store.put(["report.html"])
        if not as_json:
            click.echo(str(report))
        proof = ablated(models, spec, place, progress=not quiet) if ablate else None
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on, all that is finished is in {folder}") from None
    if as_json:
        told = {"ablation": proof.to_json()} if proof is not None else {}
        click.echo(json.dumps({**report.to_json(), **told}))
    elif proof is not None:
        click.echo(str(proof))


def _settings(models: Collaboration, file: str) -> CurateSpec:
    from pilotfish.errors import ConfigError

    spec = models.curate
    if spec is None:
        raise ConfigError(f"{file}: no [curate] table: it says which rows sift through which steps")
    if not spec.steps:
        raise ConfigError(f"{file}: [curate] has no steps: add [[curate.steps]] tables")
    return spec


def _path(models: Collaboration, file: str, given: Any, flag: str) -> str:
    from pilotfish.errors import ConfigError
    from pilotfish.rows._remote import is_url

    if given is None:
        raise ConfigError(f"{flag} must be given, here or in the [curate] table of {file}")
    return str(given) if is_url(str(given)) else str(models.folder / Path(str(given)))


command.add_command(learn_command)
command.add_command(mix_command)
