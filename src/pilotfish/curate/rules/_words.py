"""The words of many texts at once: what rules ask of a word is asked once for each distinct one."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ints", "lengths_of", "looked_up", "starts_of", "totals"]

Ints = NDArray[np.int64]
_MOST = 1 << 18  # distinct words remembered; a corpus has more, but the frequent ones come back at once

WORDY, ALPHABETIC, _BITS = 1, 2, 2


@cache
def _plain(character: str) -> bool:
    """Say whether a character is no punctuation: of Unicode's kind, a control, or a sign of ASCII."""
    return unicodedata.category(character)[0] not in "PC" and character not in "$+<=>^`|~"


class _Known(dict[str, int]):
    """Word -> its length and what it is made of, in one number; filled as words come up."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST:
            self.clear()
        wordy = word.isalnum() or any(map(_plain, word))
        alphabetic = word.isalpha() or any(map(str.isalpha, word))
        self[word] = found = len(word) << _BITS | wordy * WORDY | alphabetic * ALPHABETIC
        return found


_KNOWN = _Known()


def looked_up(texts: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
    """Return the words of all texts as numbers, and how many each text has: (words,), (texts,).

    The bit `WORDY` says that a word has more than punctuation, `ALPHABETIC` that it has a letter; `lengths_of` gives
    the lengths.
    """
    counts = np.fromiter(map(len, texts), np.int64, len(texts))
    get = _KNOWN.__getitem__
    numbers = (number for words in texts for number in map(get, words))
    return np.fromiter(numbers, np.int64, int(counts.sum())), counts


def lengths_of(numbers: Ints) -> Ints:
    """Return the lengths, in characters."""
    return numbers >> _BITS


def starts_of(counts: Ints) -> Ints:
    """Return where each text's words begin, and where the last one's end: (texts + 1,)."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def totals(values: NDArray[np.generic], counts: Ints) -> Ints:
    """Return the sum over each text's words: (texts,); 0 for a text without any."""
    running = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    starts = starts_of(counts)
    return np.asarray(running[starts[1:]] - running[starts[:-1]], np.int64)
