"""What no plug-in changes unless it is asked to: numbers, and code in fences or between backticks.

The rule is held by the whole text, not by places: after an edit the text has the same numbers in the same order, and
the same pieces of code. So an edit that joins two numbers by what it takes away is refused like one that changes a
digit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.repair.spans import Edit, applied

__all__ = ["KINDS", "allowed", "check_touch", "code", "numbers", "protected"]

KINDS = ("numbers", "code")
# With its sign, its groups and decimals, and its exponent: 1,234.5, 3:05, 1e-9.
_NUMBER = re.compile(r"[-+\u2212]?\d+(?:[.,:/]\d+)*(?:[eE][-+]?\d+(?!\w))?")
_FENCE = re.compile(
    r"^ {0,3}(?P<mark>`{3,}|~{3,})[^\n]*(?:\n(?:.*\n)*? {0,3}(?P=mark)[`~]*(?=[ \t]*$)|(?:\n.*)*)", re.M
)
_INLINE = re.compile(r"(?<!`)(`+)(?!`)(?:[^\n]|\n(?!\s*\n))*?(?<!`)\1(?!`)")


def numbers(text: str) -> list[tuple[int, int]]:
    """Return where numbers stand, those in code too."""
    return [one.span() for one in _NUMBER.finditer(text)]


def code(text: str) -> list[tuple[int, int]]:
    """Return where code stands: Markdown's fences, one that does not end too, and what is between backticks."""
    found = [(one.start("mark"), one.end()) for one in _FENCE.finditer(text)]
    parts, at = [], 0
    for start, end in [*found, (len(text), len(text))]:
        parts += [(at + one.start(), at + one.end()) for one in _INLINE.finditer(text[at:start])]
        at = end
    return sorted(found + parts)


_SEEK = {"numbers": numbers, "code": code}


def protected(text: str, touch: Iterable[str] = ()) -> list[tuple[int, int]]:
    """Return the places that may not be changed by who may touch these kinds, in order."""
    return sorted(place for kind in KINDS if kind not in set(touch) for place in _SEEK[kind](text))


def allowed(text: str, edits: Sequence[Edit], touch: Iterable[str] = ()) -> tuple[str, list[Edit], list[Edit]]:
    """Return a text with those of its edits that leave all that is protected as it is, them, and the refused ones.

    Raises:
        ModelError: the edits are no edits of this text.
    """
    applied(text, edits)
    kept: list[Edit] = []
    refused: list[Edit] = []
    before = _told(text, touch)
    for edit in edits:
        told = _told(applied(text, [*kept, edit]), touch)
        (kept if told == before else refused).append(edit)
    return applied(text, kept), kept, refused


def check_touch(touch: Iterable[str]) -> frozenset[str]:
    """Return the kinds as a set.

    Raises:
        ConfigError: one is none of `KINDS`.
    """
    for kind in touch:
        if kind not in KINDS:
            raise ConfigError(f"touch is of {', '.join(KINDS)}, not {kind!r}{did_you_mean(kind, KINDS)}")
    return frozenset(touch)


def _told(text: str, touch: Iterable[str]) -> dict[str, list[str]]:
    """Return the protected pieces by kind."""
    held = set(touch)
    return {kind: [text[a:b] for a, b in _SEEK[kind](text)] for kind in KINDS if kind not in held}
