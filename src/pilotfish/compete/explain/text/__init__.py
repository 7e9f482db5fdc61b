"""Why a classifier says what it says of a text: words, whether they count, and what would change it."""

from pilotfish.compete.explain.text.attributed import Attributed, Way, attributed, way_for, word_importance
from pilotfish.compete.explain.text.erased import faithful_words
from pilotfish.compete.explain.text.flips import Flip, flipped, telling_words
from pilotfish.compete.explain.text.gradients import integrated_gradients
from pilotfish.compete.explain.text.reads import LabellerReads, Reads, reads_of
from pilotfish.compete.explain.text.rollout import rollout

__all__ = [
    "Attributed",
    "Flip",
    "LabellerReads",
    "Reads",
    "Way",
    "attributed",
    "faithful_words",
    "flipped",
    "integrated_gradients",
    "reads_of",
    "rollout",
    "telling_words",
    "way_for",
    "word_importance",
]
