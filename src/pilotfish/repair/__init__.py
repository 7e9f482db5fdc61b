"""Repair: a model's faults put right by what a weaker view of it says too."""

from __future__ import annotations

from pilotfish.repair.contrastive import ContextAware, Contrastive, Dola

__all__ = ["ContextAware", "Contrastive", "Dola"]
