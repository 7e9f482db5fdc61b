"""A small model takes a question apart; the large one answers the parts in turn, and then the whole."""

from __future__ import annotations

from pilotfish.prompt.decompose.model import Decomposed
from pilotfish.prompt.decompose.questions import TEMPLATE, asked, decomposer_rows, questions_in

__all__ = ["TEMPLATE", "Decomposed", "asked", "decomposer_rows", "questions_in"]
