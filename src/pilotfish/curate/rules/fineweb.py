"""FineWeb's own rules.

Source: Penedo et al. 2024 (The FineWeb Datasets), section 3.6, whose thresholds these are; datatrove's defaults differ
in `max_duplicate_line_characters` (0.01) and have one rule more (`max_newlines_a_word`, 0.3). "≥" and "≤" of the paper
are strict here, as in datatrove; what a line ends with is told without the white space behind it, unlike there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from pilotfish.curate.rules._repeats import repeated
from pilotfish.curate.sift import Dropped, Judged, Sift, against

__all__ = ["FineWeb", "ends_sentence"]


@dataclass
class FineWeb(Sift):
    """Drops what is made of lines that are no sentences: menus, lists, copied lines.

    A bound of None is not looked at.

    Args:
        text: the column.
        min_punctuated_lines: the share of lines that end a sentence (Unicode's Sentence_Terminal, nearly).
        max_short_lines: the share of lines of at most `short_line` characters.
        short_line: in characters.
        max_duplicate_line_characters: the share of characters in lines that are copies.
        max_newlines_a_word: line ends for each word.
    """

    text: str = "text"
    min_punctuated_lines: float | None = 0.12
    max_short_lines: float | None = 0.67
    short_line: int = 30
    max_duplicate_line_characters: float | None = 0.1
    max_newlines_a_word: float | None = None

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return nothing to add, or the first rule that a text breaks."""
        return [self._one(text) or {} for text in texts]

    def _one(self, text: str) -> Dropped | None:
        lines = [line for line in map(str.rstrip, text.split("\n")) if line]
        if not lines:
            return Dropped("fineweb.empty: no lines")
        ended = sum(ends_sentence(line[-1]) for line in lines) / len(lines)
        short = sum(len(line) <= self.short_line for line in lines) / len(lines)
        newlines = text.count("\n")
        again = repeated(lines)[1] / (len(text) - newlines)
        return (
            against("fineweb.punctuated_lines", ended, least=self.min_punctuated_lines)
            or against("fineweb.short_lines", short, most=self.max_short_lines)
            or against("fineweb.duplicate_line_characters", again, most=self.max_duplicate_line_characters)
            or (
                None
                if self.max_newlines_a_word is None
                else against("fineweb.newlines_a_word", newlines / len(text.split()), most=self.max_newlines_a_word)
            )
        )


@cache
def ends_sentence(character: str) -> bool:
    """Say whether a character ends a sentence in some script: by its name, or one of the few named otherwise."""
    if character in ".!?‼⁇⁈⁉‽。｡．！？…":
        return character != "…"
    if character.isascii() or unicodedata.category(character) != "Po":
        return False
    name = unicodedata.name(character, "")
    return any(word in name for word in ("FULL STOP", "QUESTION", "EXCLAMATION", "DANDA", "INTERROBANG"))
