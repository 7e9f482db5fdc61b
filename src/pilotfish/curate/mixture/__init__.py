"""How much of which domain: found by small models taught on many mixtures."""

from __future__ import annotations

from pilotfish.curate.mixture.law import Law
from pilotfish.curate.mixture.mix import Mixture, mix

__all__ = ["Law", "Mixture", "mix"]
