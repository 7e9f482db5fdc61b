"""How much of texts repeats: n-grams of words, for many texts at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate.rules._words import Ints, starts_of
from pilotfish.rows._grams import mixed

__all__ = ["Grams", "repeated"]

Words = NDArray[np.uint64]


def repeated(parts: Sequence[str]) -> tuple[int, int]:
    """Return how many parts are copies of an earlier one, and their characters."""
    seen = set(parts)
    if len(seen) == len(parts):
        return 0, 0
    # Each distinct part counts once as the first of its kind.
    return len(parts) - len(seen), sum(map(len, parts)) - sum(map(len, seen))


class Grams:
    """The n-grams of words of texts, as 64-bit numbers.

    Args:
        texts: their words. Words are told apart by Python's own hash, which another process does not share; what comes
            of it is the same but for collisions, one in 10^19.
    """

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self.counts: Ints = np.fromiter(map(len, texts), np.int64, len(texts))
        total = int(self.counts.sum())
        flat = [word for words in texts for word in words]
        self.words = mixed(np.fromiter(map(hash, flat), np.int64, total).view(np.uint64))
        self.starts = starts_of(self.counts)
        self.ends = np.concatenate([[0], np.cumsum(np.fromiter(map(len, flat), np.int64, total))])

    def top(self, n: int) -> Ints:
        """Return, of each text's most frequent n-gram, its occurrences times its characters, blanks within counted.

        Of several as frequent the first of the text counts, as in datatrove. A text in which none stands twice has 0:
        there the first n-gram of a short text would pass for a repetition.
        """
        grams, at, owner = self._of(n)
        out = np.zeros(len(self.counts), np.int64)
        if not len(grams):
            return out
        _, first, times = np.unique(self._own(grams, owner), return_index=True, return_counts=True)
        order = np.lexsort((first, -times, owner[first]))
        best = order[np.flatnonzero(np.diff(owner[first][order], prepend=-1))]
        best = best[times[best] > 1]
        places = first[best]
        out[owner[places]] = times[best] * (self.ends[at[places] + n] - self.ends[at[places]] + n - 1)
        return out

    def any_twice(self, n: int) -> NDArray[np.bool_]:
        """Say of each text whether an n-gram stands in it twice; where none does, no longer one does either."""
        grams, _, owner = self._of(n)
        found = np.zeros(len(self.counts), bool)
        keys = self._own(grams, owner)
        order = np.argsort(keys)
        twice = order[1:][keys[order][1:] == keys[order][:-1]]
        found[owner[twice]] = True
        return found

    def again(self, text: int, n: int) -> int:
        """Return the characters, blanks left out, of a text's n-grams that stood in it before.

        From left to right: an n-gram that is a copy is counted and passed over whole, so no character counts twice.
        """
        start, stop = int(self.starts[text]), int(self.starts[text + 1])
        grams: list[int] = _grams(self.words[start:stop], n).tolist()
        ends = self.ends[start : stop + 1].tolist()
        seen: set[int] = set()
        place = found = 0
        while place < len(grams):
            if grams[place] in seen:
                found += ends[place + n] - ends[place]
                place += n
            else:
                seen.add(grams[place])
                place += 1
        return found

    def _of(self, n: int) -> tuple[Words, Ints, Ints]:
        """Return the n-grams, the word at which each begins, and its text."""
        grams = _grams(self.words, n)
        owner = np.repeat(np.arange(len(self.counts), dtype=np.int64), self.counts)
        at = np.flatnonzero(owner[: len(grams)] == owner[n - 1 :][: len(grams)]) if len(grams) else _NONE
        return grams[at], at, owner[at]

    @staticmethod
    def _own(grams: Words, owner: Ints) -> Words:
        """Return numbers that differ between texts too."""
        return mixed(grams + mixed(owner.astype(np.uint64) + np.uint64(1)))


_NONE: Ints = np.empty(0, np.int64)


def _grams(words: Words, n: int) -> Words:
    windows = max(0, len(words) - n + 1)
    grams = words[:windows]
    for offset in range(1, n):
        grams = mixed(grams) + words[offset : windows + offset]
    return grams
