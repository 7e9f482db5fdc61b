"""`pilotfish batches`: what is under way at a provider's batch API, wait for it, or stop it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilotfish.cli._common import Stopped, collaboration_of, say

if TYPE_CHECKING:
    from pilotfish.models._batch_list import BatchState
    from pilotfish.models.batch import BatchModel

__all__ = ["group"]

F = TypeVar("F", bound=Callable[..., Any])


@click.group("batches")
def group() -> None:
    """Batches of a model with use = "batch": list them, wait for them, cancel them.

    FILE is the collaboration file. Where it has several such models, --model says which.
    """


def _model_options(command: F) -> F:
    option = click.option("--model", "-m", help="Which batch model of the file; the only one otherwise.")
    return click.argument("file")(option(command))


@group.command("list")
@_model_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_batches(file: str, model: str | None, as_json: bool) -> None:
    """List the batches: state, requests done, failed and in all, age, and what the answers have cost so far."""
    from pilotfish._sync import wait

    _show(wait(_model(file, model).batches()), as_json=as_json)


@group.command("wait")
@_model_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def wait_for(file: str, model: str | None, as_json: bool) -> None:
    """Wait until no batch is under way, and take the answers: whoever asks then has them at once.

    Ctrl-C leaves the batches with the provider.
    """
    from pilotfish._sync import wait

    found = _model(file, model)
    try:
        wait(found.finish())
    except KeyboardInterrupt:
        raise Stopped("stopped; the same command waits again") from None
    _show(wait(found.batches()), as_json=as_json)


@group.command("cancel")
@_model_options
@click.argument("ids", nargs=-1, metavar="[ID]...")
def cancel(file: str, model: str | None, ids: tuple[str, ...]) -> None:
    """Ask the provider to stop batches: those named, or all that are under way.

    What was answered by then is charged for; run again, or `pilotfish batches wait`, to take it.
    """
    from pilotfish._sync import wait

    stopped = wait(_model(file, model).cancel(*ids))
    for one in stopped:
        click.echo(one)
    said = "is being cancelled" if len(stopped) == 1 else "are being cancelled"
    say(f"{len(stopped)} batch{'' if len(stopped) == 1 else 'es'} {said}" if stopped else "no batch is under way")


def _model(file: str, name: str | None) -> BatchModel:
    """Return the batch model of that name, or the only one of the file.

    Raises:
        ConfigError: there is none, there are several, or the one named is of another kind.
    """
    from pilotfish.errors import ConfigError, did_you_mean
    from pilotfish.models.batch import BatchModel

    models = collaboration_of(file)
    known = [one for one in models.names if models.table(one).get("use") == "batch"]
    if not known:
        raise ConfigError(f'{file}: no model of it has use = "batch"')
    if name is None and len(known) > 1:
        raise ConfigError(f"{file}: several batch models: say which with --model{did_you_mean('', known)}")
    name = name or known[0]
    if name not in known:
        raise ConfigError(f"{file}: {name!r} is no batch model{did_you_mean(name, known)}")
    model = models.model(name)
    assert isinstance(model, BatchModel)
    return model


def _show(found: list[BatchState], *, as_json: bool) -> None:
    """Print a table, or JSON."""
    if as_json:
        click.echo(json.dumps([one.to_json() for one in found], indent=2))
        return
    if not found:
        say("no batches")
        return
    from rich.console import Console
    from rich.table import Table

    from pilotfish.rows._progress import _span

    table = Table("id", "state", box=None, pad_edge=False)
    for name in ("done", "failed", "total", "age", "cost so far"):
        table.add_column(name, justify="right")
    for one in found:
        cost = "unknown" if one.cost is None else f"${one.cost:,.4f}"
        counts = (f"{number:,}" for number in (one.done, one.failed, one.total))
        table.add_row(one.id, one.state, *counts, _span(one.age), cost)
    Console().print(table)
