"""What a small model of a domain knows, written down for a large one that does not."""

from __future__ import annotations

from pilotfish.adapt.knowledge.card import Card, Note
from pilotfish.adapt.knowledge.model import PROMPT, Knowing
from pilotfish.adapt.knowledge.route import AskedCards, NearestCards, Routes
from pilotfish.adapt.knowledge.select import Brevity, Factuality, Relevance, Select

__all__ = [
    "PROMPT",
    "AskedCards",
    "Brevity",
    "Card",
    "Factuality",
    "Knowing",
    "NearestCards",
    "Note",
    "Relevance",
    "Routes",
    "Select",
]
