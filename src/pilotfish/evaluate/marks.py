"""Texts beside each other with what each has that the other has not, for people to look at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from pilotfish.measure.report.document import MarkedText

__all__ = ["over_spans", "sentences", "words_marked"]

_WORD = re.compile(r"\w+")
_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])|\n+")


def words_marked(candidate: str, references: str | Sequence[str]) -> list[MarkedText]:
    """Return a candidate and the reference that has most of its words: each word found in the other, or not.

    Words count as often as they stand: of two in one text and one in the other, the second is not found.
    """
    several = [references] if isinstance(references, str) else list(references)
    best = max(several, key=lambda one: _shared(candidate, one))
    found = []
    for title, text, other in (("candidate", candidate, best), ("reference", best, candidate)):
        left = Counter(_WORD.findall(other.casefold()))
        spans = []
        for match in _WORD.finditer(text):
            word = match.group().casefold()
            spans.append((match.start(), match.end(), float(left[word] > 0)))
            left[word] -= 1
        found.append(MarkedText(title, over_spans(text, spans)))
    return found


def over_spans(text: str, spans: Iterable[tuple[int, int, float]]) -> list[tuple[str, float | None]]:
    """Return a whole text in pieces, those of the spans (start, end, share) with their shares, in their order."""
    pieces: list[tuple[str, float | None]] = []
    at = 0
    for start, end, share in spans:
        begin = max(start, at)  # tokens of one character's bytes stand over one another
        if end <= begin:
            continue
        if begin > at:
            pieces.append((text[at:begin], None))
        pieces.append((text[begin:end], share))
        at = end
    return pieces + ([(text[at:], None)] if at < len(text) else [])


def sentences(text: str) -> list[str]:
    """Return a text's sentences with the space behind them: joined they are the text.

    By punctuation alone: good enough to shade, not to count.
    """
    ends = [match.end() for match in _END.finditer(text)]
    cuts = [0, *(end for end in ends if 0 < end < len(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts) if end > start]


def _shared(one: str, other: str) -> int:
    counts = [Counter(_WORD.findall(text.casefold())) for text in (one, other)]
    return (counts[0] & counts[1]).total()
