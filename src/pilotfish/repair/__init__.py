"""Repair: a model's faults put right, by what a weaker view of it says too, or by plug-ins that read its answers."""

from __future__ import annotations

from pilotfish.repair.contrastive import ContextAware, Contrastive, Dola
from pilotfish.repair.repaired import Repaired
from pilotfish.repair.spans import Context, Edit, Mended, Plugin, Span
from pilotfish.repair.ways import Abstain, Mark, Remove, Replace, Rewrite

__all__ = [
    "Abstain",
    "Context",
    "ContextAware",
    "Contrastive",
    "Dola",
    "Edit",
    "Mark",
    "Mended",
    "Plugin",
    "Remove",
    "Repaired",
    "Replace",
    "Rewrite",
    "Span",
]
