"""An answer as it comes, cut into what is checked at once: sentences, and fences of code.

Where a cut falls depends on what stands before it and on the first letter behind it, never on how the text came in:
the same answer is cut alike whether it streams by letters or comes whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pilotfish.rows.sentences import spans_of

__all__ = ["Unit", "Units", "units_of"]

# Ends of sentences: a mark and what closes, then a blank and something else in the same line; or a full stop of a
# script that puts no blank behind it.
_END = re.compile(
    r"[.!?\u2026]+[\"'\u201d\u2019)\]*_]*(?=[^\S\n]+\S)|[\u3002\uff01\uff1f]+[\u300d\u300f\u201d\uff09]*(?=[^\S\n]*\S)"
)
_OPENS = re.compile(r"(`{3,}|~{3,})")
_MARKER = re.compile(r"(?:\d{1,3}|[A-Za-z])[.)]|[-*+\u2022]")


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of an answer.

    Attributes:
        lead: the white space before it.
        text: the sentence, the line, or the code.
        code: whether it is a fence, or a line of one.
    """

    lead: str
    text: str
    code: bool = False


class Units:
    """Cuts a text that comes in pieces.

    A sentence is given once the first letter of the next one is there, or its line has ended. A line that opens a fence
    begins a unit of code, which is the whole fence; with `fences` False each of its lines is one, as it comes.

    Args:
        fences: whether a fence is held until it closes.
        most: characters of a sentence, after which it is cut at a blank though it has not ended: a loop without an end
            must not be held forever.
        language: of the sentences.
    """

    def __init__(self, *, fences: bool = True, most: int = 2000, language: str = "en") -> None:
        self.fences, self.most, self.language = fences, most, language
        self._held = ""
        self._begun = False  # whether anything was given
        self._fence = ""  # the marks that opened the fence whose lines are being given

    def feed(self, text: str) -> Iterator[Unit]:
        """Take more of the text; yield what is whole."""
        self._held += text
        yield from self._cut(last=False)

    def end(self) -> Iterator[Unit]:
        """Yield the rest; white space at the end is a unit without a text."""
        yield from self._cut(last=True)
        if self._held:
            yield Unit(self._held, "")
        self._held, self._begun, self._fence = "", False, ""

    def _cut(self, *, last: bool) -> Iterator[Unit]:
        while (found := self._next(last)) is not None:
            start, end, code = found
            unit = Unit(self._held[:start], self._held[start:end], code)
            self._held, self._begun = self._held[end:], True
            yield unit

    def _next(self, last: bool) -> tuple[int, int, bool] | None:
        """Return where the next unit begins and ends, and whether it is code; None where it has not come to its end."""
        held = self._held
        start = len(held) - len(held.lstrip())
        if start == len(held):
            return None
        if self._fence:
            return self._line_of_fence(start, last)
        if not self._begun or "\n" in held[:start]:
            if not last and held[start:] in ("`", "``", "~", "~~"):
                return None
            if opens := _OPENS.match(held, start):
                return self._fenced(start, opens[1], last)
        return self._sentence(start, last)

    def _fenced(self, start: int, marks: str, last: bool) -> tuple[int, int, bool] | None:
        line = self._held.find("\n", start)
        if line < 0 and not last:
            return None
        if not self.fences:
            self._fence = marks
            return start, line if line >= 0 else len(self._held), True
        closes = re.compile(rf"^ {{0,3}}{re.escape(marks)}{marks[0]}*(?=[ \t]*$)", re.MULTILINE)
        at = line + 1 if line >= 0 else len(self._held)
        for found in closes.finditer(self._held, at):
            # The line of its end has to have ended, or more marks may come.
            if last or self._held.find("\n", found.start()) >= 0:
                return start, found.end(), True
            return None
        return (start, len(self._held.rstrip()), True) if last else None

    def _line_of_fence(self, start: int, last: bool) -> tuple[int, int, bool] | None:
        end = self._held.find("\n", start)
        if end < 0 and not last:
            return None
        end = end if end >= 0 else len(self._held)
        text = self._held[start:end].rstrip()
        if text.startswith(self._fence) and not text.strip(self._fence[0]):
            self._fence = ""
        return start, end, True

    def _sentence(self, start: int, last: bool) -> tuple[int, int, bool] | None:
        held = self._held
        bound = start + self.most
        line = held.find("\n", start)
        line = line if 0 <= line < bound else -1
        stop = line if line >= 0 else min(len(held), bound)
        for found in _END.finditer(held, start, stop):
            if self._is_end(start, found.end()):
                return start, found.end(), False
        if line >= 0:
            return start, start + len(held[start:line].rstrip()), False
        if len(held) >= bound:
            blank = max(held.rfind(" ", start, bound), held.rfind("\t", start, bound))
            return start, start + len(held[start : blank if blank > start else bound].rstrip()), False
        return (start, start + len(held[start:].rstrip()), False) if last else None

    def _is_end(self, start: int, end: int) -> bool:
        """Say whether a sentence ends there: the library that knows abbreviations says so, and no code is open."""
        text = self._held[start:end]
        if text.count("`") % 2 or _MARKER.fullmatch(text):
            return False
        after = end
        while self._held[after].isspace():
            after += 1
        # What is asked has just one letter of the next sentence, so that what comes after cannot change the answer.
        cuts = spans_of(self._held[start : after + 1], self.language)
        return any(cut == end - start for _, cut in cuts[:-1])


def units_of(text: str, *, most: int = 2000, language: str = "en") -> list[Unit]:
    """Return a whole text's units; their leads and texts, joined, are the text."""
    units = Units(most=most, language=language)
    return [*units.feed(text), *units.end()]
