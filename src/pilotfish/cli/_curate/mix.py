"""`pilotfish curate mix`: how much of which domain."""

from __future__ import annotations

import json

import click

from pilotfish.cli._common import Stopped

__all__ = ["mix_command"]


@click.command("mix")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def mix_command(file: str, as_json: bool, quiet: bool) -> None:
    """Find the shares of the domains of [curate.mixture] that teach a small model the most of what a test shows.

    A small model is taught on each of many random mixtures, a regression tells the loss of any other, and the best one
    is proved against the domains' own shares. The same command goes on where a stopped one was.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_curate import texts_of
    from pilotfish.assemble._weights import weights_from
    from pilotfish.curate.mixture import mix
    from pilotfish.errors import ConfigError
    from pilotfish.train.settings import Fit

    models = Collaboration.load(file)
    spec = None if models.curate is None else models.curate.mixture
    if models.curate is None or spec is None:
        raise ConfigError(f"{file}: no [curate.mixture] table: it says which domains are mixed, and for what")
    text = models.curate.text
    try:
        report = mix(
            {name: texts_of(models.folder / path, text) for name, path in spec.domains.items()},
            texts_of(models.folder / spec.test, text),
            weights_from(spec.student, models.folder),
            models.folder / spec.out,
            tried=spec.tried,
            fit=Fit(**spec.fit.model_dump(exclude_unset=True)),
            spread=spec.spread,
            seeds=spec.seeds,
            seed=spec.seed,
            length=spec.length,
            catalog=models.catalog,
            progress=not quiet,
        )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on, what was taught is in {models.folder / spec.out}") from None
    click.echo(json.dumps(report.to_json()) if as_json else str(report))
