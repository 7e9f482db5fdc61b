"""Loops: words said over and over in one sentence, and sentences that were said before.

Holtzman et al. 2020 (The Curious Case of Neural Text Degeneration), section 4: models fall into loops that feed
themselves; Welleck et al. 2020 count them (`pilotfish.measure.repetition`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.repair.protected import check_touch, code
from pilotfish.repair.spans import Context, Span
from pilotfish.repair.units import units_of
from pilotfish.repair.ways import Mends, Remove, Way

__all__ = ["Repetition"]

_WORD = re.compile(r"\S+")
_MARKS = ".,;:!?\"'()[]*_\u2026\u201c\u201d"


@dataclass(frozen=True)
class Repetition(Mends):
    """Finds what repeats what came just before it, and takes it out.

    Within a sentence: a run of up to `longest` words that stands `times` times or more in a row; all but the first go.
    Over sentences: one with `words` words or more that was said `sentences` times already in the answer. Case and the
    marks at a word's ends do not count; digits do, so a list that counts is no loop.

    Attributes:
        times: how often a run stands in a row.
        longest: words of a run.
        sentences: how often a sentence may be said.
        words: that a sentence needs to be counted.
        way: what is done about them.
        touch: numbers and code are not, by default: a loop of the same number stays.
        name: in traces.

    Raises:
        ConfigError: a setting out of range.
    """

    times: int = 3
    longest: int = 24
    sentences: int = 1
    words: int = 4
    way: Way = Remove("span")  # noqa: RUF009  # frozen
    touch: frozenset[str] = frozenset()
    name: str = "repetition"

    def __post_init__(self) -> None:
        check_touch(self.touch)
        if self.times < 2 or min(self.longest, self.sentences, self.words) < 1:
            raise ConfigError(f"{self.name}: a loop is 2 times or more, and runs, sentences and words are 1 or more")

    def detect(self, text: str, context: Context) -> Sequence[Span]:
        """Return the repeats, but for the first of each."""
        held = code(text)
        said: dict[str, int] = {}
        for unit in units_of(context.before):
            if not unit.code:
                key = _plain(unit.text)
                said[key] = said.get(key, 0) + 1
        found: list[Span] = []
        at = 0
        for unit in units_of(text):
            start = at + len(unit.lead)
            end = at = start + len(unit.text)
            if unit.code or not unit.text:
                continue
            loops = self._loops(text, start, end)
            # Without its loops, for so it was given the first time.
            key = _plain(_without(text, start, end, loops))
            count = said.get(key, 0)
            said[key] = count + 1
            if count >= self.sentences and len(key.split()) >= self.words:
                lead = start - len(unit.lead) if start > len(unit.lead) else start
                found.append(Span(lead, end, self.name, 1.0, f"a sentence of {len(key.split())} words said again"))
            else:
                found += loops
        return [span for span in found if not any(a < span.end and span.start < b for a, b in held)]

    def _loops(self, text: str, start: int, end: int) -> list[Span]:
        """Return the repeats within a sentence: of each loop the shortest run, and what follows its first time."""
        places = [one.span() for one in _WORD.finditer(text, start, end)]
        words = [_plain(text[a:b]) or text[a:b] for a, b in places]
        found: list[Span] = []
        at = 0
        while at < len(words):
            run, count = self._loop_at(words, at)
            if count >= self.times:
                # The first time stays, with the marks behind the last.
                first, last = (_bare_end(text, places[at + n - 1]) for n in (run, run * count))
                found.append(Span(first, last, self.name, 1.0, f"{run} words said {count} times in a row"))
                at += run * count
            else:
                at += 1
        return found

    def _loop_at(self, words: Sequence[str], at: int) -> tuple[int, int]:
        """Return the shortest run that begins there and is a loop, and how often it stands; (0, 0) where none does."""
        for run in range(1, min(self.longest, (len(words) - at) // self.times) + 1):
            count = 1
            while words[at + run * count : at + run * (count + 1)] == words[at : at + run]:
                count += 1
            if count >= self.times:
                return run, count
        return 0, 0


def _bare_end(text: str, place: tuple[int, int]) -> int:
    """Return where a word ends without the marks behind it; of marks alone their end."""
    word = text[place[0] : place[1]]
    return place[0] + len(word.rstrip(_MARKS)) if word.strip(_MARKS) else place[1]


def _without(text: str, start: int, end: int, spans: Sequence[Span]) -> str:
    parts, at = [], start
    for span in spans:
        parts.append(text[at : span.start])
        at = span.end
    return "".join([*parts, text[at:end]])


def _plain(text: str) -> str:
    """Return words without case and the marks at their ends."""
    return " ".join(word for one in text.casefold().split() if (word := one.strip(_MARKS)))
