"""Gopher's quality rules.

Source: Rae et al. 2021 (Scaling Language Models: Gopher), appendix A.1.1, "Quality Filtering". Words stand between
white space; of those, words of punctuation alone count neither for the number of words nor for their mean length, as in
datatrove.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pilotfish.curate.rules._words import ALPHABETIC, WORDY, lengths_of, looked_up, totals
from pilotfish.curate.sift import Dropped, Judged, Sift, against

__all__ = ["STOP_WORDS", "GopherQuality"]

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_BULLETS, _ELLIPSES = ("•", "-"), ("...", "…")


@dataclass
class GopherQuality(Sift):
    """Drops what has too few words, words of odd length, or the marks of lists and teasers; for English.

    A bound of None is not looked at.

    Args:
        text: the column.
        min_words: the fewest words.
        max_words: the most words.
        min_mean_word_length: in characters.
        max_mean_word_length: in characters.
        max_hash_ratio: "#" a word.
        max_ellipsis_ratio: "..." and "…" a word.
        max_bullet_lines: the share of lines that begin with "•" or "-".
        max_ellipsis_lines: the share of lines that end with "..." or "…".
        min_alphabetic_words: the share of words with a letter in them.
        min_stop_words: how many of the stop words must be there.
        stop_words: these; for another language give its own.
    """

    text: str = "text"
    min_words: int | None = 50
    max_words: int | None = 100_000
    min_mean_word_length: float | None = 3
    max_mean_word_length: float | None = 10
    max_hash_ratio: float | None = 0.1
    max_ellipsis_ratio: float | None = 0.1
    max_bullet_lines: float | None = 0.9
    max_ellipsis_lines: float | None = 0.3
    min_alphabetic_words: float | None = 0.8
    min_stop_words: int | None = 2
    stop_words: Sequence[str] = STOP_WORDS

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return nothing to add, or the first rule that a text breaks."""
        words = [text.split() for text in texts]
        numbers, counts = looked_up(words)
        wordy = (numbers & WORDY) > 0
        real = totals(wordy, counts)
        length = totals(lengths_of(numbers) * wordy, counts) / np.maximum(real, 1)
        letters = totals((numbers & ALPHABETIC) > 0, counts) / np.maximum(counts, 1)
        return [
            self._one(text, set(own), int(count), int(some), float(mean), float(share)) or {}
            for text, own, count, some, mean, share in zip(texts, words, counts, real, length, letters, strict=True)
        ]

    def _one(self, text: str, words: set[str], count: int, real: int, mean: float, letters: float) -> Dropped | None:
        if not count:
            return Dropped("gopher_quality.empty: no words")
        return (
            against("gopher_quality.words", real, least=self.min_words, most=self.max_words)
            or against(
                "gopher_quality.mean_word_length", mean, least=self.min_mean_word_length, most=self.max_mean_word_length
            )
            or against("gopher_quality.hash_ratio", text.count("#") / count, most=self.max_hash_ratio)
            or against("gopher_quality.ellipsis_ratio", _ellipses(text) / count, most=self.max_ellipsis_ratio)
            or self._lines(text)
            or against("gopher_quality.alphabetic_words", letters, least=self.min_alphabetic_words)
            or against("gopher_quality.stop_words", len(words.intersection(self.stop_words)), least=self.min_stop_words)
        )

    def _lines(self, text: str) -> Dropped | None:
        bullets, ellipses = any(mark in text for mark in _BULLETS), any(mark in text for mark in _ELLIPSES)
        if not bullets and not ellipses:
            return None
        lines = text.splitlines()
        begun = sum(line.lstrip().startswith(_BULLETS) for line in lines) / len(lines) if bullets else 0.0
        ended = sum(line.rstrip().endswith(_ELLIPSES) for line in lines) / len(lines) if ellipses else 0.0
        return against("gopher_quality.bullet_lines", begun, most=self.max_bullet_lines) or against(
            "gopher_quality.ellipsis_lines", ended, most=self.max_ellipsis_lines
        )


def _ellipses(text: str) -> int:
    return text.count("...") + text.count("…")
