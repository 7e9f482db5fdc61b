"""C4's rules.

Source: Raffel et al. 2020 (T5), section 2.2; the rules on long words, cookies and citations are those of its published
code. Sentences end with a full stop, an exclamation or question mark before white space or at the end of a line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pilotfish.curate.sift import Dropped, Judged, Sift, against

__all__ = ["C4", "POLICIES"]

POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_ENDS = (".", "?", "!", '"', "'")
_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_SENTENCE = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)")


@dataclass
class C4(Sift):
    """Takes lines out of a text that are no sentences, and drops texts of which too little is left, and pages of code.

    The text of a row that is kept is changed: it has the kept lines only. A bound of None is not looked at.

    Args:
        text: the column.
        punctuated: keep only lines that end with a full stop, an exclamation or question mark, or a quotation mark.
        min_line_words: the fewest words of a line.
        max_word_length: the longest word of a line, in characters.
        min_sentences: the fewest sentences in the kept lines.
        javascript: take out lines that name JavaScript.
        policies: take out lines that tell of cookies and terms of use.
        citations: take `[12]`, `[edit]` and `[citation needed]` out of lines.
        lorem_ipsum: drop texts that have these words.
        curly: drop texts that have a curly bracket.
        bad_words: drop texts that have one of these words or phrases, letter case aside; the list is the user's own.
    """

    text: str = "text"
    punctuated: bool = True
    min_line_words: int | None = 3
    max_word_length: int | None = 1000
    min_sentences: int | None = 5
    javascript: bool = True
    policies: bool = True
    citations: bool = True
    lorem_ipsum: bool = True
    curly: bool = True
    bad_words: Sequence[str] = ()

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return the text as it is left, or why it goes."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Judged:
        if self.bad_words and (bad := self._bad.search(text.lower())):
            return Dropped(f"c4.bad_word: has {bad[1]!r}")
        kept: list[str] = []
        sentences = 0
        for given in text.splitlines():
            line = given.strip()
            words = line.split()
            if self._has_long_word(line, words):
                continue
            if self.citations and "[" in line:
                line = _CITATION.sub("", line)
            if self.punctuated and (not line.endswith(_ENDS) or line.endswith("...")):
                continue
            if self.min_line_words is not None and len(words) < self.min_line_words:
                continue
            small = line.lower()
            if self.lorem_ipsum and "lorem ipsum" in small:
                return Dropped("c4.lorem_ipsum: has 'lorem ipsum'")
            if self.javascript and "javascript" in small:
                continue
            if self.curly and "{" in line:
                return Dropped("c4.curly_bracket: has '{'")
            if self.policies and any(policy in small for policy in POLICIES):
                continue
            sentences += _sentences(line)
            kept.append(line)
        why = against("c4.sentences", sentences, least=self.min_sentences)
        return why or {self.text: "\n".join(kept).strip()}

    def _has_long_word(self, line: str, words: Sequence[str]) -> bool:
        most = self.max_word_length
        return most is not None and len(line) > most and any(len(word) > most for word in words)

    @cached_property
    def _bad(self) -> re.Pattern[str]:
        """Whole words only; a pattern of the longest first."""
        words = sorted((re.escape(word.lower()) for word in self.bad_words), key=len, reverse=True)
        return re.compile(rf"(?<!\w)({'|'.join(words)})(?!\w)")


def _sentences(line: str) -> int:
    """Return how many sentences a line has; what stands after the last end counts as one."""
    ends = [found.end() for found in _SENTENCE.finditer(line)]
    if not ends:
        return int(bool(line))
    return len(ends) + bool(line[ends[-1] :].strip())
