"""Small models that find what a large one lacks: indexes, retrievers, and answers from what was found."""

from __future__ import annotations

from pilotfish.retrieve.found import Found, Hit, Passage, Ranker, Retriever

__all__ = ["Found", "Hit", "Passage", "Ranker", "Retriever"]
