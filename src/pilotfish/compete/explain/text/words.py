"""Where a text's words stand, tokens' figures joined to them, and a text without some of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Span", "joined", "units", "with_words", "without"]

Span = tuple[int, int]
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
# A word with what it is contracted of, a character of a script without spaces, or a sign.
_UNIT = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])\w)+(?:['’](?:(?![{_CJK}])\w)+)*|[^\w\s]")
_SPACES = re.compile(r"[ \t]{2,}")


def units(text: str) -> list[Span]:
    """Return where words and signs stand, in order; nothing but space lies between them."""
    return [found.span() for found in _UNIT.finditer(text)]


def joined(
    spans: Sequence[Span], shares: Sequence[float] | NDArray[np.float64], places: Sequence[Span]
) -> tuple[NDArray[np.float64], float]:
    """Return what tokens' shares come to a unit, (units,), and what belongs to none.

    A token that lies over several units is shared out by the characters that it has of each.

    Args:
        spans: of the tokens, in characters; one without length, as a special token's is, belongs to no unit.
        shares: one a token.
        places: of the units, in order.
    """
    found = np.zeros(len(places))
    rest = 0.0
    starts = [start for start, _ in places]
    for (start, end), share in zip(spans, np.asarray(shares, np.float64).tolist(), strict=True):
        over: list[tuple[int, int]] = []
        at = max(bisect_right(starts, start) - 1, 0)
        while at < len(places) and places[at][0] < end:
            common = min(end, places[at][1]) - max(start, places[at][0])
            if common > 0:
                over.append((at, common))
            at += 1
        whole = sum(common for _, common in over)
        if not whole:
            rest += share
        for at, common in over:
            found[at] += share * common / whole
    return found, rest


def without(text: str, places: Sequence[Span], gone: Collection[int]) -> str:
    """Return a text without some of its units, and without the double spaces that they leave."""
    return with_words(text, places, dict.fromkeys(gone, ""))


def with_words(text: str, places: Sequence[Span], new: dict[int, str]) -> str:
    """Return a text with other words in the place of some units; "" takes one away."""
    pieces: list[str] = []
    at = 0
    for place in sorted(new):
        start, end = places[place]
        pieces += [text[at:start], new[place]]
        at = end
    return _SPACES.sub(" ", "".join([*pieces, text[at:]])).strip()
