"""Which words of a text are kept, told by a shorter version of it: what a token classifier learns.

Source: Pan et al. 2024 (LLMLingua-2: Data Distillation for Efficient and Faithful Task-Agnostic Prompt Compression),
sections 3.1 (the instruction), 3.2 (annotation) and 3.3 (quality control: variation rate, equation 2, and alignment
gap, equation 5). Their search in a window is greedy; here the longest common subsequence of words is found, so a
common word never takes another's place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.prompt.compress.units import is_word, units_of

__all__ = ["ASK", "Aligned", "Pair", "aligned", "sound"]

ASK = """Make the text below as short as you can, so that another model can still answer any question that the text \
answers. Only leave out words that matter least: do not change a word, do not add one, do not change their order, and \
use no abbreviations. Reply with the shortened text and nothing else.

{text}"""


@dataclass(frozen=True)
class Pair:
    """A text and what is left of it when it is said in fewer of its words.

    Attributes:
        text: the original.
        compressed: what a model, or a person, left of it.
        question: what was to be answerable by it; "" for any.
    """

    text: str
    compressed: str
    question: str = ""


@dataclass(frozen=True)
class Aligned:
    """The words of a text with what became of them.

    Attributes:
        kept: (units,) of `units_of(text)`.
        variation: the share of the compressed text's words that the original does not have: what was made up.
        gap: how many more of the original's words occur in the compressed text than were found in it in their order,
            as a share of the original's words: what the alignment could not tell.
    """

    kept: NDArray[np.bool_]
    variation: float
    gap: float

    @property
    def rate(self) -> float:
        """The share of units that are kept."""
        return float(self.kept.mean()) if len(self.kept) else 0.0


def aligned(text: str, compressed: str) -> Aligned:
    """Return which units of a text a compressed version of it kept.

    Raises:
        DataError: one of them has no word.
    """
    spans = units_of(text)
    units = [text[start:end].casefold() for start, end in spans]
    said = [compressed[start:end].casefold() for start, end in units_of(compressed)]
    said = [word for word in said if not word.isspace()]
    own = [at for at, word in enumerate(units) if is_word(word[0])]
    words = [word for word in said if is_word(word[0])]
    if not own or not words:
        raise DataError(f"the {'text' if not own else 'compressed text'} has no word")
    kept = np.zeros(len(units), bool)
    kept[_common(units, said)] = True
    _spaces(units, kept)
    known, there = {units[at] for at in own}, set(words)
    variation = sum(word not in known for word in words) / len(words)
    hit = sum(units[at] in there for at in own) / len(own)
    return Aligned(kept, variation, max(0.0, hit - float(kept[own].mean())))


def sound(found: Sequence[Aligned], *, variation: float = 0.05, gap: float = 0.1) -> NDArray[np.bool_]:
    """Return which of the aligned texts are good enough to learn from: (texts,).

    Args:
        found: aligned texts.
        variation: the share of texts that is left out for the largest variation rates; those without any stay.
        gap: likewise for the largest alignment gaps.

    Raises:
        ConfigError: a share out of range.
    """
    if not 0 <= variation < 1 or not 0 <= gap < 1:
        raise ConfigError(f"variation and gap are shares from 0 to below 1, not {variation} and {gap}")
    keep = np.ones(len(found), bool)
    for values, share in (
        (np.array([one.variation for one in found]), variation),
        (np.array([one.gap for one in found]), gap),
    ):
        worst = np.argsort(-values, kind="stable")[: int(share * len(found))]
        keep[worst[values[worst] > 0]] = False
    return keep


def _common(units: Sequence[str], said: Sequence[str]) -> list[int]:
    """Return the places, ascending, of a longest common subsequence (Hunt and Szymanski 1977).

    Of equal words the one nearest before the next that is found is taken, so that "the" goes with its noun.
    """
    places: dict[str, list[int]] = {}
    for at, word in enumerate(units):
        places.setdefault(word, []).append(at)
    tails: list[int] = []  # the least place that ends a subsequence of each length
    links: list[tuple[int, int, int]] = []  # (place, word of `said`, the link before), one for each that was a tail
    ends: list[int] = []
    for number, word in enumerate(said):
        for place in reversed(places.get(word, ())):
            length = bisect_left(tails, place)
            if length < len(tails) and tails[length] == place:
                continue
            links.append((place, number, ends[length - 1] if length else -1))
            if length == len(tails):
                tails.append(place)
                ends.append(len(links) - 1)
            else:
                tails[length], ends[length] = place, len(links) - 1
    found: list[int] = []
    at, last = (ends[-1] if ends else -1), len(units)
    while at >= 0:
        place, number, at = links[at]
        own = places[said[number]]
        place = own[bisect_left(own, last) - 1]
        found.append(place)
        last = place
    return found[::-1]


def _spaces(units: Sequence[str], kept: NDArray[np.bool_]) -> None:
    """Let white space go with the units on its two sides."""
    for at, word in enumerate(units):
        if word.isspace():
            kept[at] = bool(at and kept[at - 1] and kept[min(at + 1, len(units) - 1)])
