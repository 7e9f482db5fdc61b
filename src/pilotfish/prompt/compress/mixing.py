"""Two ways as one, and no way at all: what every way has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.prompt.compress.shares import priorities
from pilotfish.prompt.compress.units import lengths_of
from pilotfish.prompt.compress.way import Asked, Scored, Way

__all__ = ["AtRandom", "Blend"]


@dataclass(frozen=True)
class Blend:
    """Scores units by several ways: each unit's place in each way's order, from 0 to 1, weighed.

    Attributes:
        ways: the ways.
        weights: one each; None weighs all alike.
    """

    ways: tuple[Way, ...]
    weights: tuple[float, ...] | None = None
    name: str = "blend"

    def __post_init__(self) -> None:
        if not self.ways or (self.weights is not None and len(self.weights) != len(self.ways)):
            raise ConfigError("blend: give ways, and as many weights")

    def __call__(self, asked: Asked) -> Scored:
        """Return the weighed places, the best near 0 and the others below."""
        found, read = np.zeros(len(asked.units)), 0
        weights, ones = lengths_of(asked.units), np.ones(len(asked.units))
        for way, weight in zip(self.ways, self.weights or (1.0,) * len(self.ways), strict=True):
            told = way(asked)
            found += weight * priorities(told.values, weights, ones, told.groups)
            read += told.read
        return Scored(found, None, read)


@dataclass(frozen=True)
class AtRandom:
    """Scores units by chance."""

    seed: int = 0
    name: str = "random"

    def __call__(self, asked: Asked) -> Scored:
        """Return draws, the same for the same text."""
        random = np.random.default_rng([self.seed, len(asked.text), len(asked.units)])
        return Scored(random.random(len(asked.units)))
