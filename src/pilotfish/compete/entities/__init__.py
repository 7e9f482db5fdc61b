"""Entities of the user's own knowledge base: found by name and meaning, linked in texts, records of them matched."""

from __future__ import annotations

from pilotfish.compete.entities.aliases import AliasIndex
from pilotfish.compete.entities.base import EntityBase
from pilotfish.compete.entities.candidates import Candidates
from pilotfish.compete.entities.entity import Entity, entities
from pilotfish.compete.entities.linked import Linked
from pilotfish.compete.entities.linker import Linker
from pilotfish.compete.entities.mention import Mention, asked_by, marked
from pilotfish.compete.entities.report import LinkReport, reported
from pilotfish.compete.entities.split import Decided, LinkedModel
from pilotfish.compete.entities.trial import SplitTrial, tried

__all__ = [
    "AliasIndex",
    "Candidates",
    "Decided",
    "Entity",
    "EntityBase",
    "LinkReport",
    "Linked",
    "LinkedModel",
    "Linker",
    "Mention",
    "SplitTrial",
    "asked_by",
    "entities",
    "marked",
    "reported",
    "tried",
]
