"""Which rows teach what is wanted: by their gradients."""

from __future__ import annotations

from pilotfish.curate.influence.influence import Influence, influences

__all__ = ["Influence", "influences"]
