"""A prompt in fewer tokens: a small model says what can go, and what is kept is the original's own words."""

from __future__ import annotations

from pilotfish.prompt.compress.compressor import Compressor, Prompt
from pilotfish.prompt.compress.count import CHARACTERS, WORDS, Count, counted_by
from pilotfish.prompt.compress.labels import ASK, Aligned, Pair, aligned, sound
from pilotfish.prompt.compress.mixing import AtRandom, Blend
from pilotfish.prompt.compress.model import PARTS, Compressing, Part
from pilotfish.prompt.compress.passages import Passages
from pilotfish.prompt.compress.perplexity import ByPerplexity, TellingDocuments
from pilotfish.prompt.compress.protect import KINDS, Protect
from pilotfish.prompt.compress.question import AnsweringDocuments, ByQuestion
from pilotfish.prompt.compress.result import Compressed
from pilotfish.prompt.compress.sentences import BySentences, Mixed, RankBySupport, RankByVectors, RankByWords
from pilotfish.prompt.compress.teach import FIT, Learnt, teach
from pilotfish.prompt.compress.tokens import ByTokens, TokenClassifier
from pilotfish.prompt.compress.way import Asked, Rank, Ranked, Scored, Way

__all__ = [
    "ASK",
    "CHARACTERS",
    "FIT",
    "KINDS",
    "PARTS",
    "WORDS",
    "Aligned",
    "AnsweringDocuments",
    "Asked",
    "AtRandom",
    "Blend",
    "ByPerplexity",
    "ByQuestion",
    "BySentences",
    "ByTokens",
    "Compressed",
    "Compressing",
    "Compressor",
    "Count",
    "Learnt",
    "Mixed",
    "Pair",
    "Part",
    "Passages",
    "Prompt",
    "Protect",
    "Rank",
    "RankBySupport",
    "RankByVectors",
    "RankByWords",
    "Ranked",
    "Scored",
    "TellingDocuments",
    "TokenClassifier",
    "Way",
    "aligned",
    "counted_by",
    "sound",
    "teach",
]
