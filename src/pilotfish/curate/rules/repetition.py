"""Gopher's repetition rules.

Source: Rae et al. 2021, appendix A.1.1, "Repetition Removal", and table A1; words, lines and the way of counting as in
datatrove, but that words stand between white space, and that an n-gram which stands in a text once is no repetition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pilotfish.curate.rules._repeats import Grams, repeated
from pilotfish.curate.sift import Dropped, Judged, Sift, against

__all__ = ["GopherRepetition"]

_PARAGRAPHS, _LINES = re.compile(r"\n{2,}"), re.compile(r"\n+")
_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_AGAIN = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


@dataclass
class GopherRepetition(Sift):
    """Drops what says the same again: lines, paragraphs, n-grams of words.

    A bound of None is not looked at.

    Args:
        text: the column.
        max_duplicate_lines: the share of lines that are copies.
        max_duplicate_paragraphs: the share of paragraphs that are.
        max_duplicate_line_characters: the share of the text's characters in such lines.
        max_duplicate_paragraph_characters: in such paragraphs.
        max_top: n -> the share of characters in the most frequent n-gram.
        max_duplicate: n -> the share of characters in n-grams that are copies.
    """

    text: str = "text"
    max_duplicate_lines: float | None = 0.30
    max_duplicate_paragraphs: float | None = 0.30
    max_duplicate_line_characters: float | None = 0.20
    max_duplicate_paragraph_characters: float | None = 0.20
    max_top: Mapping[int, float] = field(default_factory=lambda: dict(_TOP))
    max_duplicate: Mapping[int, float] = field(default_factory=lambda: dict(_AGAIN))

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return nothing to add, or the first rule that a text breaks."""
        found = [self._parts(text) for text in texts]
        left = [place for place, why in enumerate(found) if why is None]
        for place, why in zip(left, self._words([texts[place] for place in left]), strict=True):
            found[place] = why
        return [why or {} for why in found]

    def _parts(self, text: str) -> Dropped | None:
        if not text:
            return Dropped("gopher_repetition.empty: no text")
        for kind, parts, most, most_characters in (
            (
                "paragraph",
                _PARAGRAPHS.split(text.strip()),
                self.max_duplicate_paragraphs,
                self.max_duplicate_paragraph_characters,
            ),
            ("line", _LINES.split(text), self.max_duplicate_lines, self.max_duplicate_line_characters),
        ):
            count, characters = repeated(parts)
            why = against(f"gopher_repetition.duplicate_{kind}s", count / len(parts), most=most) or against(
                f"gopher_repetition.duplicate_{kind}_characters", characters / len(text), most=most_characters
            )
            if why is not None:
                return why
        return None

    def _words(self, texts: Sequence[str]) -> list[Dropped | None]:
        found: list[Dropped | None] = [None] * len(texts)
        if not texts:
            return found
        grams = Grams([text.split() for text in texts])
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        for n, most in sorted(self.max_top.items()):
            shares = grams.top(n) / sizes
            for place in np.flatnonzero(shares > most):
                found[place] = found[place] or against(f"gopher_repetition.top_{n}_gram", shares[place], most=most)
        if not self.max_duplicate:
            return found
        for place in np.flatnonzero(grams.any_twice(min(self.max_duplicate))):
            for n, most in sorted(self.max_duplicate.items()):
                share = grams.again(int(place), n) / int(sizes[place])
                found[place] = found[place] or against(f"gopher_repetition.duplicate_{n}_gram", share, most=most)
        return found
