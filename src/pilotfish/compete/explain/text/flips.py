"""The fewest words whose absence, or change, makes a classifier say something else of a text.

Sources: Martens and Provost 2014 (Explaining Data-Driven Document Classifications), section 3.2: the smallest sets of
words to take away, best first; words put in their place, as in Ross et al. 2021 (MiCE), are those of texts of the other
class, so that nothing is made up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from pilotfish.compete.explain.text.reads import Reads
from pilotfish.compete.explain.text.words import Span, units, with_words
from pilotfish.errors import ConfigError

__all__ = ["Flip", "flipped", "telling_words"]

_PAIRS, _BEAM = 20, 5  # words of which all pairs are tried; sets of words that are added to


@dataclass(frozen=True)
class Flip:
    """A text with a few words otherwise.

    Attributes:
        edits: (the word, what stands in its place: "" for nothing), as they stand in the text.
        text: with them.
        label: what is then said; what was said before where nothing of so few words changes it.
        probability: of `label`.
        found: whether it is another than before.
    """

    edits: tuple[tuple[str, str], ...]
    text: str
    label: str
    probability: float
    found: bool

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def flipped(
    reads: Reads,
    text: str,
    *,
    wanted: str | None = None,
    words: Sequence[str] = (),
    most: int = 5,
) -> Flip:
    """Return the smallest change of a text that makes a classifier say another class.

    One word is changed in every way, then all pairs of the 20 words that count most; larger sets grow from the best
    five of each size. So one word and, in short texts, two are the fewest; of more there may be a smaller set.

    Args:
        reads: the classifier.
        text: to change.
        wanted: the class that is to be said; None is any other.
        words: that may stand in a word's place; none only takes words away.
        most: words that may be otherwise.

    Raises:
        ConfigError: a class that there is none of.
    """
    if wanted is not None and wanted not in reads.classes_:
        raise ConfigError(f"{wanted!r} is none of the classes {', '.join(map(repr, reads.classes_[:12]))}")
    places = units(text)
    before = np.asarray(reads.predict_proba([text]))[0]
    said = int(before.argmax())
    if wanted is not None and reads.classes_.index(wanted) == said:
        return Flip((), text, wanted, float(before[said]), True)
    search = _Search(reads, text, places, said, None if wanted is None else reads.classes_.index(wanted))
    ways = ["", *dict.fromkeys(words)]
    letters = [i for i, (start, end) in enumerate(places) if any(one.isalnum() for one in text[start:end])]
    singles = [{i: new} for i in letters for new in ways if new.lower() != text[slice(*places[i])].lower()]
    if not singles or most < 1:
        return search.unchanged(before)
    found = search.tried(singles)
    if found is not None:
        return found
    ranked = search.best(len(singles))
    # Of each word its best change, the words that count most first.
    firsts = list({next(iter(one)): one for one in reversed(ranked)}.values())
    firsts.sort(key=ranked.index)
    sets = [dict([*a.items(), *b.items()]) for a, b in combinations(firsts[:_PAIRS], 2)]
    for size in range(2, most + 1):
        found = search.tried(sets) if sets else None
        if found is not None or not sets:
            return found or search.unchanged(before)
        grown = [{**one, **more} for one in search.best(_BEAM) for more in firsts if not one.keys() & more.keys()]
        sets = list({tuple(sorted(one.items())): one for one in grown}.values()) if size < most else []
    return search.unchanged(before)


class _Search:
    """Tries sets of changes, all of one size at once; the last ones are remembered by how far they got."""

    def __init__(self, reads: Reads, text: str, places: Sequence[Span], said: int, wanted: int | None) -> None:
        self.reads, self.text, self.places, self.said, self.wanted = reads, text, places, said, wanted
        self._last: list[dict[int, str]] = []

    def tried(self, sets: list[dict[int, str]]) -> Flip | None:
        """Return the surest of those that change what is said, if any does."""
        texts = [with_words(self.text, self.places, one) for one in sets]
        told = np.asarray(self.reads.predict_proba(texts))
        toward = 1 - told[:, self.said] if self.wanted is None else told[:, self.wanted]
        order = np.argsort(-toward, kind="stable").tolist()
        self._last = [sets[i] for i in order]
        new = told.argmax(axis=1)
        turned = new != self.said if self.wanted is None else new == self.wanted
        if not turned.any():
            return None
        at = next(i for i in order if turned[i])
        start = [(self.text[slice(*self.places[i])], word) for i, word in sorted(sets[at].items())]
        return Flip(tuple(start), texts[at], self.reads.classes_[int(new[at])], float(told[at, new[at]]), True)

    def best(self, count: int) -> list[dict[int, str]]:
        """Return those of the last that went farthest."""
        return self._last[:count]

    def unchanged(self, before: Any) -> Flip:
        """Return that nothing was found."""
        return Flip((), self.text, self.reads.classes_[self.said], float(before[self.said]), False)


def telling_words(reads: Reads, texts: Sequence[str], count: int = 12) -> dict[str, list[str]]:
    """Return for each class the words that texts of which it is said have more often than others: (class -> words).

    They are ranked by how many more of its texts hold them, smoothed log-odds times the number of texts.

    Args:
        reads: the classifier.
        texts: known ones.
        count: of words a class.
    """
    said = np.asarray(reads.predict_proba(list(texts))).argmax(axis=1) if texts else np.zeros(0, int)
    own: list[Counter[str]] = [Counter() for _ in reads.classes_]
    sizes = [int((said == code).sum()) for code in range(len(own))]
    for text, code in zip(texts, said.tolist(), strict=True):
        own[code].update({text[a:b].lower() for a, b in units(text) if text[a:b].isalpha()})
    whole: Counter[str] = sum(own, Counter())
    found = {}
    for code, label in enumerate(reads.classes_):
        others = len(texts) - sizes[code]

        def score(word: str, code: int = code, others: int = others) -> float:
            here, there = own[code][word], whole[word] - own[code][word]
            odds = np.log((here + 0.5) / (sizes[code] - here + 0.5)) - np.log((there + 0.5) / (others - there + 0.5))
            return float(odds * np.sqrt(here))

        found[label] = sorted(own[code], key=lambda word: (-score(word), word))[:count]
    return found
