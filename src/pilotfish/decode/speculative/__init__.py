"""Draft and verify: several tokens a pass through the target, and exactly the target's answers."""

from __future__ import annotations

from pilotfish.decode.speculative.cross_draft import CrossDraft
from pilotfish.decode.speculative.draft import Draft, Drafted, Judge, Plan, Proposal, Seat
from pilotfish.decode.speculative.lookup import LookupDraft
from pilotfish.decode.speculative.model_draft import ModelDraft
from pilotfish.decode.speculative.policy import Auto, Fixed, Policy
from pilotfish.decode.speculative.report import SpeculativeReport
from pilotfish.decode.speculative.strategy import Speculative
from pilotfish.decode.speculative.tree import Tree

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
