"""Attributes that come in turn: every value as often as every other, in a new random order each time round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pilotfish.errors import ConfigError

__all__ = ["turns", "values_of"]


def values_of(given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return attributes with their values as texts.

    Raises:
        ConfigError: one has no list of values.
    """
    for name, values in given.items():
        if isinstance(values, str) or not values:
            raise ConfigError(f"the attribute {name!r} needs a list of values")
    return {name: [str(value) for value in values] for name, values in given.items()}


def turns(attributes: Mapping[str, Sequence[str]], count: int, random: np.random.Generator) -> list[dict[str, str]]:
    """Return `count` draws of a value of each attribute."""
    drawn: list[dict[str, str]] = [{} for _ in range(count)]
    for name, values in attributes.items():
        order = [int(i) for _ in range(-(-count // len(values))) for i in random.permutation(len(values))]
        for one, i in zip(drawn, order, strict=False):
            one[name] = values[i]
    return drawn
