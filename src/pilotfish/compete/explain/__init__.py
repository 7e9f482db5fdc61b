"""Why a small model says what it says: what columns and words add, whether that is faithful, what would change it."""

from pilotfish.compete.explain.aug import Aug, aug_linear, coefficients, ngram_linear
from pilotfish.compete.explain.changes import Change, changes
from pilotfish.compete.explain.columns import Explained, explained, toward
from pilotfish.compete.explain.faithful import Faithful, faithful
from pilotfish.compete.explain.keywords import Keywords, aug_keywords, keywords_by
from pilotfish.compete.explain.price import Price, prices
from pilotfish.compete.explain.sampled import sampled
from pilotfish.compete.explain.shapes import Shape, dependence, shape_of
from pilotfish.compete.explain.stable import Stability, stability

__all__ = [
    "Aug",
    "Change",
    "Explained",
    "Faithful",
    "Keywords",
    "Price",
    "Shape",
    "Stability",
    "aug_keywords",
    "aug_linear",
    "changes",
    "coefficients",
    "dependence",
    "explained",
    "faithful",
    "keywords_by",
    "ngram_linear",
    "prices",
    "sampled",
    "shape_of",
    "stability",
    "toward",
]
