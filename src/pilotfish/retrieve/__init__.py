"""Small models that find what a large one lacks: indexes, retrievers, and answers from what was found."""

from __future__ import annotations

from pilotfish.retrieve._traced import Tells, Traced, traced
from pilotfish.retrieve._ways import Encoders
from pilotfish.retrieve.chunk import Chunks
from pilotfish.retrieve.collection import Added
from pilotfish.retrieve.documents import Document, documents
from pilotfish.retrieve.found import Found, Hit, Passage, Ranker, Retriever
from pilotfish.retrieve.hybrid import Hybrid
from pilotfish.retrieve.index import Index
from pilotfish.retrieve.rewrite import Rewritten
from pilotfish.retrieve.way import Way

__all__ = [
    "Added",
    "Chunks",
    "Document",
    "Encoders",
    "Found",
    "Hit",
    "Hybrid",
    "Index",
    "Passage",
    "Ranker",
    "Retriever",
    "Rewritten",
    "Tells",
    "Traced",
    "Way",
    "documents",
    "traced",
]
