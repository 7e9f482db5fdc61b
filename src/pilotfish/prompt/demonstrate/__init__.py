"""Solved examples put before a question: found by words, by vectors or by what helped a language model; and diverse."""

from __future__ import annotations

from pilotfish.prompt.demonstrate.choose import Chooser, Chosen, Diverse, Order
from pilotfish.prompt.demonstrate.feedback import Feedback, by_choices, by_reading, feedback
from pilotfish.prompt.demonstrate.find import ByChance, ByVectors, ByWords, Finder
from pilotfish.prompt.demonstrate.model import Demonstrated, demonstrated
from pilotfish.prompt.demonstrate.pool import Demonstration, Pool
from pilotfish.prompt.demonstrate.show import Form
from pilotfish.prompt.demonstrate.teach import RetrieverLearner, Taught, taught_finder

__all__ = [
    "ByChance",
    "ByVectors",
    "ByWords",
    "Chooser",
    "Chosen",
    "Demonstrated",
    "Demonstration",
    "Diverse",
    "Feedback",
    "Finder",
    "Form",
    "Order",
    "Pool",
    "RetrieverLearner",
    "Taught",
    "by_choices",
    "by_reading",
    "demonstrated",
    "feedback",
    "taught_finder",
]
