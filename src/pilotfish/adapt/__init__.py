"""Domain adaptation: a small expert steers a larger frozen model (white-box), or tells it what it lacks (black-box)."""

from __future__ import annotations

from pilotfish.adapt.logits import Experts, Pair, ProxyTuned

__all__ = ["Experts", "Pair", "ProxyTuned"]
