"""A text as the units that are kept or dropped: words, punctuation, characters of scripts without spaces."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Span", "glue", "is_word", "lengths_of", "per_unit", "sentence_numbers", "units_of"]

Span = tuple[int, int]

# Scripts written without spaces: each of their characters can go alone.
_ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Signs that belong to the letter before them, which Python counts as no letters.
_SIGNS = "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0dff\u200c\u200d"
_LETTERS = rf"(?:(?![{_ALONE}])[\w{_SIGNS}])+"
_WORD = re.compile(rf"{_LETTERS}(?:['’\-.,:/@&+]{_LETTERS})*")
# What keeps two units apart; white space beyond it is a unit, or it could never be left out.
_APART = re.compile(r"\r?\n(?:\r?\n)?|\s")
_BREAK = re.compile(r"\r?\n(?:\r?\n)?")
_PIECE = re.compile(rf"[{_ALONE}]|{_WORD.pattern}|[^\w\s](?:\ufe0f|\u200d[^\w\s])*|\S|\s+")
_ENDS = ".!?…。！？"
_LONGEST = 8  # characters of white space that are one unit


def units_of(text: str) -> list[Span]:
    """Return where the units of a text begin and end, in order; a space or a line's end is between them.

    A word is one with what is inside it (`don't`, `3.14`, `a/b`, `x@y.org`), punctuation is its own, and so is white
    space where there is more of it than keeps two words apart.
    """
    found: list[Span] = []
    for piece in _PIECE.finditer(text):
        start, end = piece.span()
        if not piece.group()[0].isspace():
            found.append((start, end))
            continue
        apart = _separator(text, start, end)
        for first, last in ((start, apart[0]), (apart[1], end)):
            found += [(at, min(at + _LONGEST, last)) for at in range(first, last, _LONGEST)]
    return found


def glue(text: str, end: int, start: int) -> Span:
    """Return what of a dropped stretch text[end:start] stands between the units on its two sides.

    A blank line or a line's end, where it has one, or a space: what is kept neither melts into one word nor loses its
    paragraphs. Without any the last character of what was dropped, between two words, else nothing.
    """
    found = _BREAK.search(text, end, start) or _APART.search(text, end, start)
    if found:
        return found.span()
    melts = start > end and end > 0 and start < len(text) and is_word(text[end - 1]) and is_word(text[start])
    return (start - 1, start) if melts else (end, end)


def is_word(character: str) -> bool:
    """Say whether two such characters side by side are read as one word."""
    return _WORD.match(character) is not None


def per_unit(
    units: Sequence[Span], places: Sequence[Span], values: NDArray[np.float64], empty: float = 0.0
) -> NDArray[np.float64]:
    """Return for each unit the mean of the values of its tokens, each weighed by how much of it lies in the unit.

    The mean is what a unit tells for a token of the budget, so a long word is at no advantage.

    Args:
        units: of the text, in order.
        places: where the tokens lie in the text; those of nothing (start = end) are left out.
        values: (tokens,).
        empty: of a unit that no token has a part in.
    """
    sums, counts = np.zeros(len(units)), np.zeros(len(units))
    starts, ends = [start for start, _ in units], [end for _, end in units]
    for (start, end), value in zip(places, values.tolist(), strict=True):
        at = int(np.searchsorted(ends, start, side="right")) if end > start else len(units)
        while at < len(units) and starts[at] < end:
            shared = min(end, ends[at]) - max(start, starts[at])
            sums[at] += shared * value
            counts[at] += shared
            at += 1
    return np.where(counts > 0, sums / np.maximum(counts, 1), empty)


def lengths_of(units: Sequence[Span]) -> NDArray[np.float64]:
    """Return about how many tokens each unit has: a quarter of its characters, at least 1."""
    return np.array([max(1.0, (end - start) / 4) for start, end in units])


def sentence_numbers(text: str, units: Sequence[Span]) -> NDArray[np.int64]:
    """Return the number of each unit's sentence: (units,). One ends with its mark, or with the line.

    It is rough, and needs no library: what is protected goes by it, and nothing is shown by it.
    """
    found: list[int] = []
    number, before = 0, 0
    for start, end in units:
        if found and ("\n" in text[before:start] or (text[before - 1] in _ENDS and before < start)):
            number += 1
        found.append(number)
        before = end
    return np.array(found, np.int64)


def _separator(text: str, start: int, end: int) -> Span:
    """Return the part of white space that keeps its neighbours apart."""
    found = _BREAK.search(text, start, end)
    return found.span() if found else (start, start + 1)
