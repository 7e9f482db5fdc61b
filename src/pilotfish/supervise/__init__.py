"""Supervision: small models that align large ones."""

from __future__ import annotations

from pilotfish.supervise.align import Nudged, RewardGuided, WeakToStrongSearch

__all__ = ["Nudged", "RewardGuided", "WeakToStrongSearch"]
