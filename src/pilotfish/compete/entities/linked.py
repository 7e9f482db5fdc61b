"""What was decided of a mention, and the signals by which it is easy or hard."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.entities.entity import Entity
from pilotfish.compete.entities.mention import Mention
from pilotfish.model import Trace

__all__ = ["SIGNALS", "Linked", "signals"]

# After Li et al. 2025 (ARTER): the best scores, their margin, the entropy, and whether different ways of looking agree;
# beside them NIL's probability and what was decided.
SIGNALS = ("linked", "best", "second", "margin", "entropy", "nil", "agreement")
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Linked:
    """What a mention is of.

    Attributes:
        mention: it.
        entity: None where it is none of the base's.
        candidates: likeliest first.
        chances: (candidates,) of each, and `nil` of none: together 1.
        nil: see `chances`.
        agreement: the share of the base's ways that put the likeliest candidate first.
        ease: how likely the decision is right, by what was learnt of decisions; the probability of the decision before.
        trace: the models that were asked.
    """

    mention: Mention
    entity: Entity | None
    candidates: tuple[Entity, ...]
    chances: Floats
    nil: float
    agreement: float = 0.0
    ease: float = 0.0
    trace: Trace = field(default_factory=Trace)

    @property
    def best(self) -> float:
        """How likely the likeliest candidate is; 0 without any."""
        return float(self.chances[0]) if len(self.chances) else 0.0

    @property
    def probability(self) -> float:
        """How likely what was decided is, by the linker's own weights."""
        return self.nil if self.entity is None else self.best


def signals(one: Linked) -> Floats:
    """Return (signals,): what tells easy decisions from hard ones, each between 0 and 1."""
    second = float(one.chances[1]) if len(one.chances) > 1 else 0.0
    told = np.append(one.chances, one.nil)
    told = told[told > 0]
    entropy = float(-(told * np.log(told)).sum() / np.log(max(2, len(one.chances) + 1)))
    return np.array(
        [one.entity is not None, one.best, second, one.best - second, entropy, one.nil, one.agreement], float
    )
