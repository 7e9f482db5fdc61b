"""Documents as passages: sentences, or runs of them up to a size in tokens or characters, which may overlap.

A passage is a slice of its document's text, so that it can be cited by where it stands. It ends where a sentence ends;
only a sentence longer than the size is cut, between words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal, get_args

from pilotfish.errors import ConfigError
from pilotfish.retrieve.documents import Document
from pilotfish.retrieve.found import Passage
from pilotfish.rows.sentences import spans_of

__all__ = ["Chunks", "Counts", "Unit"]

Unit = Literal["whole", "sentences", "tokens", "words", "characters"]
Counts = Callable[[Sequence[str]], Sequence[int]]
Span = tuple[int, int]
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Chunks:
    """How documents are cut.

    Args:
        unit: what a passage's size is counted in; "whole" does not cut.
        size: the most of them in a passage.
        overlap: how many of a passage's last ones the next one begins with, at most; whole sentences only.
        language: of the texts, for where their sentences end.

    Raises:
        ConfigError: another unit, a size below 1, or an overlap that is no less than the size.
    """

    unit: Unit = "whole"
    size: int = 1
    overlap: int = 0
    language: str = "en"

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ConfigError(f"passages are counted in {', '.join(get_args(Unit))}, not {self.unit!r}")
        if self.size < 1 or not 0 <= self.overlap < self.size:
            raise ConfigError(f"a passage's size is 1 or more and its overlap less, not {self.size} and {self.overlap}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return asdict(self)

    def of(self, document: Document, counts: Counts | None = None) -> list[Passage]:
        """Return a document's passages: their ids are its own with #1, #2 ... behind it, where there are several.

        Args:
            document: what is cut; its title goes with each passage.
            counts: the tokens of texts, without special ones; needed where the unit is tokens.

        Raises:
            ConfigError: tokens without what counts them.
        """
        text = document.text
        spans = [(0, len(text))] if self.unit == "whole" else self.spans(text, counts)
        whole = len(spans) == 1
        return [
            Passage(
                document.id if whole else f"{document.id}#{number}",
                text[start:stop],
                document.title,
                document.id,
                start,
                stop,
                document.fields,
            )
            for number, (start, stop) in enumerate(spans, 1)
        ]

    def spans(self, text: str, counts: Counts | None = None) -> list[Span]:
        """Return where a text's passages begin and end; one for all of a text without any sentence.

        Raises:
            ConfigError: tokens without what counts them.
        """
        pieces = list(self._pieces(text, counts))
        if not pieces:
            return [(0, len(text))]
        found: list[Span] = []
        first = 0
        while first < len(pieces):
            stop = first + 1
            while stop < len(pieces) and self._size(pieces, first, stop + 1) <= self.size:
                stop += 1
            found.append((pieces[first][0], pieces[stop - 1][1]))
            if stop == len(pieces):
                break
            # The next begins as far back as the overlap allows, yet behind where this one began.
            back = stop
            while back - 1 > first and self._size(pieces, back - 1, stop) <= self.overlap:
                back -= 1
            # Unless what comes next has no room behind what would be said again.
            while back < stop and self._size(pieces, back, stop + 1) > self.size:
                back += 1
            first = back
        return found

    def _size(self, pieces: Sequence[tuple[int, int, int]], first: int, stop: int) -> int:
        """Return how large the passage of some pieces would be."""
        if self.unit == "characters":
            return pieces[stop - 1][1] - pieces[first][0]
        return sum(size for _, _, size in pieces[first:stop])

    def _pieces(self, text: str, counts: Counts | None) -> Iterator[tuple[int, int, int]]:
        """Yield sentences, those above the size cut between words, each with its size."""
        sentences = spans_of(text, self.language)
        if self.unit == "sentences":
            yield from ((start, stop, 1) for start, stop in sentences)
            return
        sizes = self._sizes([text[start:stop] for start, stop in sentences], counts)
        for (start, stop), size in zip(sentences, sizes, strict=True):
            if size <= self.size:
                yield start, stop, size
                continue
            words = [(start + one.start(), start + one.end()) for one in _WORD.finditer(text[start:stop])]
            if self.unit == "characters":
                words = [(at, min(at + self.size, end)) for begin, end in words for at in range(begin, end, self.size)]
            yield from _runs(words, self._sizes([text[a:b] for a, b in words], counts), self)

    def _sizes(self, texts: Sequence[str], counts: Counts | None) -> Sequence[int]:
        if self.unit == "characters":
            return [len(text) for text in texts]
        if self.unit == "words":
            return [len(text.split()) for text in texts]
        if counts is None:
            raise ConfigError("passages of so many tokens need an encoder that counts them: name one")
        return counts(texts) if texts else []


def _runs(words: Sequence[Span], sizes: Sequence[int], how: Chunks) -> Iterator[tuple[int, int, int]]:
    """Yield runs of words, each as long as the size allows, with its size."""
    if how.unit == "characters":
        begins = [0]
        for place, (_, stop) in enumerate(words):
            if stop - words[begins[-1]][0] > how.size:
                begins.append(place)
    else:
        begins, held = [0], 0
        for place, size in enumerate(sizes):
            if place > begins[-1] and held + size > how.size:
                begins.append(place)
                held = 0
            held += size
    ends = list(accumulate(sizes, initial=0))
    for first, stop in pairwise([*begins, len(words)]):
        yield words[first][0], words[stop - 1][1], ends[stop] - ends[first]
