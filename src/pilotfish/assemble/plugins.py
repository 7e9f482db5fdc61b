"""Kinds of models that other packages bring, through the entry-point group `pilotfish.models`.

An entry point names a function `build(name, settings, part) -> Model`: the model's name in the file, its table without
`use`, and a function that gives the model of another name. It checks its settings itself (`ConfigError`). The group
`pilotfish.repair` is of the same form, and its functions give plug-ins (`pilotfish.repair.Plugin`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from pydantic import Field

from pilotfish.assemble._spec import Spec
from pilotfish.errors import ConfigError

GROUP = "pilotfish.models"


class Build(Protocol):
    """What an entry point names."""

    def __call__(self, *, name: str, settings: dict[str, Any], part: Callable[[str], Any]) -> Any:
        """Return the model."""


class PluginSpec(Spec):
    """A table whose kind another package brings."""

    use: str
    settings: dict[str, object] = Field(default_factory=dict)


@functools.cache
def plugins(group: str = GROUP) -> dict[str, EntryPoint]:
    """Return the installed entry points of a group by the `use` they answer to."""
    return {point.name: point for point in entry_points(group=group)}


def plugin(use: str, group: str = GROUP) -> Build:
    """Return the function that builds a kind of model, or of what another group brings.

    Raises:
        ConfigError: the package that brings it does not load.
    """
    point = plugins(group)[use]
    try:
        build: Build = point.load()
    except Exception as error:  # whatever the other package's import raises
        package = point.dist.name if point.dist else point.module
        raise ConfigError(f"use = {use!r}: the package {package} that brings it does not load: {error}") from error
    return build
