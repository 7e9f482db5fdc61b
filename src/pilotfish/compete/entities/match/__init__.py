"""Records of the same thing in two tables: blocks of likely pairs, and a small matcher that is taught on pairs."""

from __future__ import annotations

from pilotfish.compete.entities.match.block import Blocking, Blocks
from pilotfish.compete.entities.match.encoded import PairEncoder
from pilotfish.compete.entities.match.matcher import Matcher
from pilotfish.compete.entities.match.pairs import Pair, ditto_pairs, pairs_of, serialised
from pilotfish.compete.entities.match.report import MatchReport, judged

__all__ = [
    "Blocking",
    "Blocks",
    "MatchReport",
    "Matcher",
    "Pair",
    "PairEncoder",
    "ditto_pairs",
    "judged",
    "pairs_of",
    "serialised",
]
