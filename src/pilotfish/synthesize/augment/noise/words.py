"""What can befall one word. Each function returns the word as it has become, or None where it cannot befall it."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import numpy as np

__all__ = ["BEFALL", "Random"]

Random = np.random.Generator
T = TypeVar("T")

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_MARKS = ",.!?;:"
_EDGES = re.compile(r"\A(\W*)(.*?)(\W*)\Z", re.DOTALL)


def _neighbours() -> dict[str, str]:
    """Return the letters beside each on a QWERTY keyboard: its row's, and those above and below, half a key away."""
    found: dict[str, str] = {}
    for r, row in enumerate(_ROWS):
        for c, letter in enumerate(row):
            near = [(r, c - 1), (r, c + 1), (r - 1, c), (r - 1, c + 1), (r + 1, c - 1), (r + 1, c)]
            found[letter] = "".join(_ROWS[y][x] for y, x in near if 0 <= y < len(_ROWS) and 0 <= x < len(_ROWS[y]))
    return found


_KEYS = _neighbours()
# None of them turns a sentence into its opposite, as know/no and knot/not would.
_SOUNDS = (
    "their there they're",
    "your you're",
    "its it's",
    "to too",
    "then than",
    "whose who's",
    "were where",
    "here hear",
    "by buy bye",
    "wait weight",
    "weather whether",
    "piece peace",
    "right write",
    "sea see",
    "son sun",
    "mail male",
    "sale sail",
    "plane plain",
    "brake break",
    "week weak",
    "meet meat",
    "our hour",
    "some sum",
    "new knew",
    "would wood",
    "way weigh",
    "accept except",
    "affect effect",
    "lose loose",
    "quite quiet",
)
_HOMOPHONES = {word: [one for one in line.split() if one != word] for line in _SOUNDS for word in line.split()}


def typo(word: str, random: Random) -> str | None:
    """A key beside the right one."""
    places = [i for i, letter in enumerate(word) if letter.lower() in _KEYS]
    if not places:
        return None
    i = _one(places, random)
    new = _one(list(_KEYS[word[i].lower()]), random)
    return word[:i] + (new.upper() if word[i].isupper() else new) + word[i + 1 :]


def swapped(word: str, random: Random) -> str | None:
    """Two letters the other way round."""
    places = [i for i, (a, b) in enumerate(pairwise(word)) if a.isalpha() and b.isalpha() and a != b]
    if not places:
        return None
    i = _one(places, random)
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def dropped(word: str, random: Random) -> str | None:
    """A letter less."""
    places = [i for i, letter in enumerate(word) if letter.isalpha()]
    if len(places) < 2:
        return None
    i = _one(places, random)
    return word[:i] + word[i + 1 :]


def doubled(word: str, random: Random) -> str | None:
    """A letter twice."""
    places = [i for i, letter in enumerate(word) if letter.isalpha()]
    if not places:
        return None
    i = _one(places, random)
    return word[: i + 1] + word[i:]


def cased(word: str, random: Random) -> str | None:
    """In lower case, in upper case, or with a capital."""
    ways = [one for one in (word.lower(), word.upper(), word.capitalize()) if one != word and len(one) == len(word)]
    return _one(ways, random) if ways else None


def sounding(word: str, random: Random) -> str | None:
    """Another word that sounds like it."""
    found = _EDGES.match(word)
    before, core, after = found.groups() if found else ("", word, "")
    others = _HOMOPHONES.get(core.lower())
    if not others:
        return None
    new = _one(others, random)
    return before + (new.capitalize() if core[:1].isupper() else new) + after


def punctuated(word: str, random: Random) -> str | None:
    """A mark less, or one more at its end."""
    places = [i for i, mark in enumerate(word) if mark in _MARKS + "'’"]
    if places and len(word) > 1:
        i = _one(places, random)
        return word[:i] + word[i + 1 :]
    return word + _one(list(_MARKS), random) if word[-1].isalnum() else None


def _one(choices: list[T], random: Random) -> T:
    return choices[int(random.integers(len(choices)))]


BEFALL: dict[str, Callable[[str, Random], str | None]] = {
    "typos": typo,
    "swapped": swapped,
    "dropped": dropped,
    "doubled": doubled,
    "casing": cased,
    "homophones": sounding,
    "punctuation": punctuated,
}
