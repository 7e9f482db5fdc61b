"""What inside student and teacher is matched; the learning is in `pilotfish.distill.hidden`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pilotfish.errors import ConfigError

__all__ = ["Matching"]


@dataclass(frozen=True)
class Matching:
    """What is matched beside the distributions.

    Attributes:
        weight: what it counts beside the distributions' loss, a token.
        what: "hidden" states, through learned projections where sizes differ, or "attention".
        layers: "uniform", "last", or which teacher layer each student layer learns from (0: the embedding).
        loss: of states: "mse" or "cosine".
        normalise: with "mse", states count by their direction.
    """

    weight: float = 1.0
    what: Literal["hidden", "attention"] = "hidden"
    layers: Literal["uniform", "last"] | Mapping[int, int] = "uniform"
    loss: Literal["mse", "cosine"] = "cosine"
    normalise: bool = False

    def __post_init__(self) -> None:
        if not self.weight > 0 or self.what not in ("hidden", "attention"):
            raise ConfigError('matching is of "hidden" or "attention", and its weight above 0')
