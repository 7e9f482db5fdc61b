"""The options that say where a command's work is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pilotfish.assemble._spec_engine import EngineSpec

__all__ = ["engine_options", "engine_table", "engine_told"]

F = TypeVar("F", bound=Callable[..., Any])
_OF_RAY = ("workers", "cpus", "gpus", "address")


def engine_options(command: F) -> F:
    """Add --engine and what goes with it."""
    for option in (
        click.option("--address", help="Of a Ray cluster, as auto or host:port; else a Ray on this machine."),
        click.option("--gpus", type=click.FloatRange(0), help="GPUs a worker, or a part of one.  [default: 0]"),
        click.option("--cpus", type=click.FloatRange(0), help="Processors a worker, or a part of one.  [default: 1]"),
        click.option("--workers", type=click.IntRange(1), help="Workers of Ray.  [default: 2]"),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            help="Where the work is done: here, or by workers of Ray.  [default: local]",
        ),
    ):
        command = option(command)
    return command


def engine_table(table: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's table with the flags over it; --engine local puts aside what the table says of Ray."""
    found = dict(table)
    if flags.get("engine") == "local":
        found = {key: value for key, value in found.items() if key not in _OF_RAY}
    given = {key: flags.get(key) for key in ("engine", *_OF_RAY)}
    return found | {key: value for key, value in given.items() if value is not None}


def engine_told(spec: EngineSpec, flags: Mapping[str, Any], where: str) -> EngineSpec:
    """Return the engine of a table with the flags over it.

    Raises:
        ConfigError: a flag or key that the engine does not look at; the text begins with `where`.
    """
    from pilotfish.assemble._spec_engine import EngineSpec
    from pilotfish.assemble.check import checked

    keys = spec.model_fields_set & EngineSpec.model_fields.keys()
    return checked(EngineSpec, engine_table({key: getattr(spec, key) for key in keys}, flags), where)
