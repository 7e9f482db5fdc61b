"""Phrases that stand among the same words, and phrases with the sentences that they stand in.

Sources: positive mutual information of words and contexts: Levy and Goldberg 2014 (Neural Word Embedding as Implicit
Matrix Factorization); contexts by their place: Levy and Goldberg 2014 (Linguistic Regularities in Sparse and Explicit
Word Representations); a phrase and its sentence without it as a pair: Wang et al. 2021 (Phrase-BERT), section 3.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.compete.phrases.find import Found
from pilotfish.compete.phrases.pair import Pair, distinct, normal
from pilotfish.compete.phrases.spans import Span
from pilotfish.errors import ConfigError

__all__ = ["in_sentences", "shared_contexts"]

_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
_BLOCK = 512


def shared_contexts(
    phrases: Sequence[Found], *, window: int = 2, least: float = 0.3, most: int = 1, distinct_contexts: int = 5
) -> list[Pair]:
    """Return pairs of phrases whose contexts are alike, each among the other's nearest, of the kind "context".

    A context is a word and its place before or behind the phrase. What shares words with a phrase is no pair of it:
    that says nothing of its contexts.

    Args:
        phrases: with the places where they stand.
        window: words on either side.
        least: the least cosine of two phrases' contexts, each weighed by its positive mutual information.
        most: nearest phrases of each.
        distinct_contexts: that a phrase has at the least.

    Raises:
        ConfigError: a number out of range.
        MissingExtra: scipy is not installed.
    """
    if window < 1 or most < 1 or not 0 < least <= 1:
        raise ConfigError(f"window and most are 1 or more and least 0 to 1, not {window}, {most} and {least}")
    counts = [_contexts(one.places, window) for one in phrases]
    rows = [row for row, one in enumerate(counts) if len(one) >= distinct_contexts]
    unit = _weighed([counts[row] for row in rows])
    if unit is None:
        return []
    words = [set(normal(phrases[row].text).split()) for row in rows]
    nearest: list[dict[int, float]] = []
    for start in range(0, len(rows), _BLOCK):
        scores = (unit[start : start + _BLOCK] @ unit.T).toarray()
        for at, row in enumerate(scores):
            own = start + at
            order = np.argsort(-row, kind="stable")
            near: dict[int, float] = {}
            for other in order.tolist():
                if row[other] < least or len(near) == most:
                    break
                if other != own and not words[own] & words[other]:
                    near[other] = float(row[other])
            nearest.append(near)
    found = [
        (score, own, other)
        for own, near in enumerate(nearest)
        for other, score in near.items()
        if own < other and own in nearest[other]
    ]
    found.sort(key=lambda one: (-one[0], one[1], one[2]))
    return distinct(Pair(phrases[rows[own]].text, phrases[rows[other]].text, "context") for _, own, other in found)


def _contexts(places: Sequence[Span], window: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for place in places:
        before = [one.group().casefold() for one in _WORD.finditer(place.text[max(0, place.start - 100) : place.start])]
        behind = [one.group().casefold() for one in _WORD.finditer(place.text[place.end : place.end + 100])]
        # What the cut at 100 characters has torn is farther away than the window.
        found.update(f"-{at}:{word}" for at, word in enumerate(reversed(before[-window:]), 1))
        found.update(f"+{at}:{word}" for at, word in enumerate(behind[:window], 1))
    return found


def _weighed(counts: Sequence[Counter[str]]) -> Any:
    """Return (phrases, contexts) of positive mutual information, rows of length one; None where there is nothing."""
    sparse = need("scipy.sparse", "retrieve")
    columns: dict[str, int] = {}
    entries = [
        (row, columns.setdefault(name, len(columns)), count)
        for row, one in enumerate(counts)
        for name, count in sorted(one.items())
    ]
    if not entries:
        return None
    row, column, count = (np.array(one) for one in zip(*entries, strict=True))
    total = count.sum()
    of_row = np.bincount(row, count, len(counts))
    of_column = np.bincount(column, count, len(columns))
    weight = np.maximum(0.0, np.log(count * total / (of_row[row] * of_column[column])))
    length = np.sqrt(np.bincount(row, weight**2, len(counts)))
    weight /= np.maximum(length[row], 1e-12)
    return sparse.csr_matrix((weight, (row, column)), shape=(len(counts), len(columns)))


def in_sentences(phrases: Sequence[Found], mask: str, *, each: int = 1, longest: int = 200) -> list[Pair]:
    """Return phrases with sentences in which they stood, the phrase masked, of the kind "sentence".

    Args:
        phrases: with the places where they stand.
        mask: what stands there instead: the encoder's mask token, or "…".
        each: sentences of a phrase.
        longest: characters of a sentence; of a longer one the part around the phrase.
    """
    found = []
    for one in phrases:
        # Spread over its places, the first of which may be one text's.
        for place in one.places[:: max(1, len(one.places) // each)][:each]:
            room = max(0, longest - (place.end - place.start)) // 2
            before = place.text[max(0, place.start - room) : place.start]
            behind = place.text[place.end : place.end + room]
            if place.start > room:
                before = before.partition(" ")[2]
            if len(place.text) - place.end > room:
                behind = behind.rpartition(" ")[0]
            sentence = " ".join(f"{before}{mask}{behind}".split())
            if sentence != mask:
                found.append(Pair(one.text, sentence, "sentence"))
    return distinct(found)
