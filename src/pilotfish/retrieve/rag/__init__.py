"""Answers from what was found: whether to look, whether it is enough, what fits, and what the answer cites."""

from __future__ import annotations

from pilotfish.retrieve.rag.cite import Cited, citations, uncited
from pilotfish.retrieve.rag.context import Context, Shorten, packed
from pilotfish.retrieve.rag.enough import EnoughByChoice, EnoughByScore
from pilotfish.retrieve.rag.model import NOT_FOUND, PROMPT, Retrieving
from pilotfish.retrieve.rag.when import Label, Sure, Whether

__all__ = [
    "NOT_FOUND",
    "PROMPT",
    "Cited",
    "Context",
    "EnoughByChoice",
    "EnoughByScore",
    "Label",
    "Retrieving",
    "Shorten",
    "Sure",
    "Whether",
    "citations",
    "packed",
    "uncited",
]
