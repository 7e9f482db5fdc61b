"""A text with noise: some of its words, each in one way."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pilotfish.synthesize.augment.noise.words import BEFALL, Random

__all__ = ["KINDS", "noised"]

_PIECE = re.compile(r"\s+|\S+")
# What befalls a word within its text, beside what befalls it alone.
KINDS = (*BEFALL, "dropped-words", "doubled-words", "whitespace")


def noised(
    text: str,
    random: Random,
    *,
    kinds: Sequence[str] = KINDS,
    rate: float = 0.1,
    protected: re.Pattern[str] | None = None,
) -> str:
    """Return the text with noise in about `rate` of its words, in one at least; as it is where nothing can befall it.

    A word is touched once, in one of the kinds. A word that a protected span reaches into stays whole and in its place,
    and so does the space on both sides of it.

    Args:
        text: any text.
        random: what is drawn by.
        kinds: of `KINDS`.
        rate: the chance of each word that is not protected.
        protected: what must not be touched.
    """
    found = list(_PIECE.finditer(text))
    pieces = [one.group() for one in found]
    spans = [] if protected is None else [one.span() for one in protected.finditer(text)]
    words = [i for i, piece in enumerate(pieces) if not piece.isspace()]
    safe = {i for i in words if any(a < found[i].end() and found[i].start() < b for a, b in spans)}
    free = [i for i in words if i not in safe]
    hit = [i for i, draw in zip(free, random.random(len(free)), strict=True) if draw < rate]
    rest = [i for i in free if i not in set(hit)]
    changed = sum(_befall(pieces, i, safe, kinds, random) for i in hit)
    for i in (rest[int(place)] for place in random.permutation(len(rest))):
        if changed:
            break
        changed += _befall(pieces, i, safe, kinds, random)
    return "".join(pieces)


def _befall(pieces: list[str], i: int, safe: set[int], kinds: Sequence[str], random: Random) -> bool:
    """Have something befall the word at place `i`; False where nothing can."""
    for place in random.permutation(len(kinds)).tolist():
        kind = kinds[place]
        if kind in BEFALL:
            new = BEFALL[kind](pieces[i], random)
            if new is not None and new != pieces[i]:
                pieces[i] = new
                return True
        elif _BETWEEN[kind](pieces, i, safe, random):
            return True
    return False


def _drop(pieces: list[str], i: int, safe: set[int], random: Random) -> bool:
    """Lose a word, and the space after it; never the last word."""
    if i + 1 >= len(pieces) or sum(bool(piece.strip()) for piece in pieces) < 2:
        return False
    if i + 2 in safe and i > 0:
        return False  # the space before it may be lost already
    pieces[i] = pieces[i + 1] = ""
    return True


def _double(pieces: list[str], i: int, safe: set[int], random: Random) -> bool:
    pieces[i] = f"{pieces[i]} {pieces[i]}"
    return True


def _space(pieces: list[str], i: int, safe: set[int], random: Random) -> bool:
    """Lose the space after a word, or make it two."""
    if i + 2 >= len(pieces) or i + 2 in safe or not pieces[i + 1]:
        return False
    pieces[i + 1] = "" if random.random() < 0.5 else f"{pieces[i + 1]} "
    return True


_BETWEEN = {"dropped-words": _drop, "doubled-words": _double, "whitespace": _space}
