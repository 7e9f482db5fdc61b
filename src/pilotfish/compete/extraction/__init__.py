"""Fields read out of texts by a small encoder that marks where their values stand."""

from __future__ import annotations

from pilotfish.compete.extraction.spans import Found, found_in, labelled
from pilotfish.compete.extraction.tagger import FieldTagger, TaggerReplies
from pilotfish.compete.extraction.teach import FIT, Learnt, teach

__all__ = ["FIT", "FieldTagger", "Found", "Learnt", "TaggerReplies", "found_in", "labelled", "teach"]
