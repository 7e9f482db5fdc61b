"""Draft and verify: several tokens a pass through the target, and exactly the target's answers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.decode.speculative.cross_draft import CrossDraft
    from pilotfish.decode.speculative.draft import Draft, Drafted, Judge, Plan, Proposal, Seat
    from pilotfish.decode.speculative.lookup import LookupDraft
    from pilotfish.decode.speculative.model_draft import ModelDraft
    from pilotfish.decode.speculative.policy import Auto, Fixed, Policy
    from pilotfish.decode.speculative.report import SpeculativeReport
    from pilotfish.decode.speculative.strategy import Speculative
    from pilotfish.decode.speculative.tree import Tree

# By name when first used: a collaboration file is checked without torch.
_LAZY = {
    "cross_draft": ("CrossDraft",),
    "draft": ("Draft", "Drafted", "Judge", "Plan", "Proposal", "Seat"),
    "lookup": ("LookupDraft",),
    "model_draft": ("ModelDraft",),
    "policy": ("Auto", "Fixed", "Policy"),
    "report": ("SpeculativeReport",),
    "strategy": ("Speculative",),
    "tree": ("Tree",),
}
_HOME = {name: module for module, names in _LAZY.items() for name in names}

__all__ = [
    "Auto",
    "CrossDraft",
    "Draft",
    "Drafted",
    "Fixed",
    "Judge",
    "LookupDraft",
    "ModelDraft",
    "Plan",
    "Policy",
    "Proposal",
    "Seat",
    "Speculative",
    "SpeculativeReport",
    "Tree",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
