"""Kinds of models that other packages bring, through the entry-point group `pilotfish.models`.

An entry point names a function `build(name, settings, part) -> Model`: the model's name in the file, its table without
`use`, and a function that gives the model of another name. It checks its settings itself (`ConfigError`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from pydantic import Field

from pilotfish.assemble._spec import Spec
from pilotfish.errors import ConfigError
from pilotfish.model import Model

GROUP = "pilotfish.models"


class Build(Protocol):
    """What an entry point names."""

    def __call__(self, *, name: str, settings: dict[str, Any], part: Callable[[str], Any]) -> Model:
        """Return the model."""


class PluginSpec(Spec):
    """A table whose kind another package brings."""

    use: str
    settings: dict[str, object] = Field(default_factory=dict)


@functools.cache
def plugins() -> dict[str, EntryPoint]:
    """Return the installed entry points by the `use` they answer to."""
    return {point.name: point for point in entry_points(group=GROUP)}


def plugin(use: str) -> Build:
    """Return the function that builds a kind of model.

    Raises:
        ConfigError: the package that brings it does not load.
    """
    point = plugins()[use]
    try:
        build: Build = point.load()
    except Exception as error:  # whatever the other package's import raises
        package = point.dist.name if point.dist else point.module
        raise ConfigError(f"use = {use!r}: the package {package} that brings it does not load: {error}") from error
    return build
