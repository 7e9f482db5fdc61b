"""Which instruction works best: proposed, sifted by small models, raced on rows, and proved on rows kept back."""

from __future__ import annotations

from pilotfish.prompt.select.instructed import Instructed, instructed
from pilotfish.prompt.select.judges import ByGrade, ByLikelihood, PromptJudge
from pilotfish.prompt.select.optimise import Search, optimise
from pilotfish.prompt.select.propose import Proposer
from pilotfish.prompt.select.race import Raced, race
from pilotfish.prompt.select.report import PromptReport, Tried
from pilotfish.prompt.select.scorer import PromptScorer

__all__ = [
    "ByGrade",
    "ByLikelihood",
    "Instructed",
    "PromptJudge",
    "PromptReport",
    "PromptScorer",
    "Proposer",
    "Raced",
    "Search",
    "Tried",
    "instructed",
    "optimise",
    "race",
]
