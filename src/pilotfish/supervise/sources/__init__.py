"""Weak supervisors: what labels rows, in part and not always rightly.

taught = Specialist(TfidfFeatures()).fit(gold, labels)
votes = votes_of([Keywords({"spam": ["buy now"]}), taught], rows, ["ham", "spam"])
"""

from __future__ import annotations

from pilotfish.supervise.sources.asked import Asked
from pilotfish.supervise.sources.base import Source, votes_of
from pilotfish.supervise.sources.rules import Column, Function, Keywords, Patterns
from pilotfish.supervise.sources.scope import Matching, Scope, Topic, Topics, Where
from pilotfish.supervise.sources.specialist import Specialist
from pilotfish.supervise.sources.trees import Trees

__all__ = [
    "Asked",
    "Column",
    "Function",
    "Keywords",
    "Matching",
    "Patterns",
    "Scope",
    "Source",
    "Specialist",
    "Topic",
    "Topics",
    "Trees",
    "Where",
    "votes_of",
]
