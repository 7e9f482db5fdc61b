"""Phrases: vectors from a small encoder, taught on the user's own, against what a large model makes of them."""

from __future__ import annotations

from pilotfish.compete.phrases.characters import Characters, WithCharacters
from pilotfish.compete.phrases.cluster import Cluster, clusters_of
from pilotfish.compete.phrases.find import Found, phrases_in
from pilotfish.compete.phrases.hidden import Hidden
from pilotfish.compete.phrases.judged import judged
from pilotfish.compete.phrases.learn import PhraseLearner
from pilotfish.compete.phrases.measured import above, again, correlated, cosines
from pilotfish.compete.phrases.mine import Mined, mined
from pilotfish.compete.phrases.pair import Pair
from pilotfish.compete.phrases.pooling import Choice, choose_pooling, repooled
from pilotfish.compete.phrases.search import phrase_index
from pilotfish.compete.phrases.spans import Span, in_context
from pilotfish.compete.phrases.taught import Taught, taught_encoder
from pilotfish.compete.phrases.written import Written, written

__all__ = [
    "Characters",
    "Choice",
    "Cluster",
    "Found",
    "Hidden",
    "Mined",
    "Pair",
    "PhraseLearner",
    "Span",
    "Taught",
    "WithCharacters",
    "Written",
    "above",
    "again",
    "choose_pooling",
    "clusters_of",
    "correlated",
    "cosines",
    "in_context",
    "judged",
    "mined",
    "phrase_index",
    "phrases_in",
    "repooled",
    "taught_encoder",
    "written",
]
