"""What of a text is kept whole or not at all: numbers, code, JSON, quotations, names, and patterns of one's own.

Half of "1,250,000", of a key or of a quotation is worse than none: it looks right. Names are found by their capitals
and by no model, so German nouns are names, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pilotfish.errors import ConfigError
from pilotfish.prompt.compress.result import joined
from pilotfish.prompt.compress.units import Span, units_of

__all__ = ["KINDS", "Kept", "Kind", "Protect"]

Kind = Literal["numbers", "code", "json", "quotes", "names"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Kept = Literal["with-sentence", "always", "whole"]

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n(?:.*\n)*? {0,3}\1[`~]*[ \t]*$", re.MULTILINE)
_INLINE = re.compile(r"(`+)(?!`)[^\n]{1,400}?(?<!`)\1(?!`)")
_QUOTE = re.compile(r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|«[^»\n]{1,300}»|„[^“”\n]{1,300}[“”]")
_SENTENCE = re.compile(r"(?:^|[.!?:;…]\s+|\n\s*|[\"“«(]\s?)$")
_BEFORE, _BEHIND = "$€£¥+-−", ("%", "‰", "°")
_SMALL = frozenset(re.findall(r"\S+", "of the de la du von van der den di and & y"))
_OPENERS = frozenset(
    re.findall(
        r"\w+",
        "The A An In On At By For From To Of With And But Or If When While As It He She They We You I This That These "
        "Those His Her Their Its My Our Your What Who Where Why How Which After Before During Since Although However",
    )
)
_JSON_WORK = 20  # times its length that a text is read in search of JSON that does not end


@dataclass(frozen=True)
class Protect:
    """Which stretches of a text are kept whole or dropped whole.

    Attributes:
        kinds: of "numbers", "code" (fenced and inline), "json", "quotes", "names".
        patterns: regular expressions of one's own.
        kept: "with-sentence": before any other word of their sentence, so that they are dropped only with all of it;
            "always": before all else, and dropped, the least telling first, only where they alone are more than the
            budget, or with the sentence or document that a rough choice drops; "whole": they are never cut, and worth
            the mean of their words.

    Raises:
        ConfigError: another kind or way, or an expression that is none or matches nothing at all.
    """

    kinds: tuple[Kind, ...] = KINDS
    patterns: tuple[str, ...] = ()
    kept: Kept = "with-sentence"

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise ConfigError(f"what is protected is one of {', '.join(KINDS)}, not {kind!r}")
        if self.kept not in get_args(Kept):
            raise ConfigError(f"protected stretches are kept {', '.join(get_args(Kept))}, not {self.kept!r}")
        for pattern in self.patterns:
            try:
                empty = re.compile(pattern).match("")
            except re.error as error:
                raise ConfigError(f"protected pattern {pattern!r}: {error}") from None
            if empty:
                raise ConfigError(f"protected pattern {pattern!r} matches the empty text")

    def __call__(self, text: str) -> list[Span]:
        """Return the protected stretches of a text, in order; those that touch or overlap are one."""
        found: list[Span] = []
        ways = {"numbers": _numbers, "code": _code, "json": _json, "quotes": _quotes, "names": _names}
        for kind in self.kinds:
            found += ways[kind](text)
        for pattern in self.patterns:
            found += [one.span() for one in re.finditer(pattern, text)]
        return list(joined(found))


def _numbers(text: str) -> list[Span]:
    """Return words with a digit in them, with their sign, currency or percent."""
    found = []
    for start, end in units_of(text):
        if any(letter.isdigit() for letter in text[start:end]):
            first = start - 1 if start and text[start - 1] in _BEFORE else start
            found.append((first, end + 1 if text[end : end + 1] in _BEHIND else end))
    return found


def _code(text: str) -> list[Span]:
    fenced = [one.span() for one in _FENCE.finditer(text)]
    return fenced + [one.span() for one in _INLINE.finditer(text)]


def _quotes(text: str) -> list[Span]:
    return [one.span() for one in _QUOTE.finditer(text)]


def _json(text: str) -> list[Span]:
    """Return objects and lists that are whole; a search that leads nowhere ends."""
    decoder = json.JSONDecoder()
    found: list[Span] = []
    at, work = 0, 0
    starts = re.compile(r"\{\s*[\"}]|\[\s*[\[{\"\d\-tfn\]]")
    while (start := starts.search(text, at)) and work <= _JSON_WORK * len(text):
        try:
            _, end = decoder.raw_decode(text, start.start())
        except json.JSONDecodeError as error:
            work += max(1, error.pos - start.start())
            at = start.start() + 1
        except RecursionError:
            work += len(text)
            at = start.start() + 1
        else:
            found.append((start.start(), end))
            at = end
    return found


def _names(text: str) -> list[Span]:
    """Return runs of words with capitals.

    A word that opens a sentence counts where the text has it inside one, too, or where it has another capital.
    """
    units = units_of(text)
    capital = [text[start].isupper() for start, _ in units]
    opens = [_SENTENCE.search(text[max(0, start - 8) : start]) is not None or not start for start, _ in units]
    words = [text[start:end] for start, end in units]
    inside = {word for word, big, opening in zip(words, capital, opens, strict=True) if big and not opening}
    lower = {word for word in words if word[0].islower()}
    found: list[Span] = []
    at = 0
    while at < len(units):
        if not capital[at]:
            at += 1
            continue
        end = at + 1
        while end < len(units) and (step := _goes_on(text, units, capital, words, end)):
            end += step
        # A first word that is written small elsewhere, or that often opens sentences, is none of the name.
        first = at + 1 if opens[at] and (words[at].lower() in lower or words[at] in _OPENERS) else at
        alone = end - first == 1
        known = not opens[first] or words[first] in inside or not words[first][1:].islower() if first < end else False
        if first < end and (known or not alone) and (not alone or len(words[first]) > 1):
            found.append((units[first][0], units[end - 1][1]))
        at = end
    return found


def _goes_on(text: str, units: Sequence[Span], capital: Sequence[bool], words: Sequence[str], at: int) -> int:
    """Return by how many units a name goes on: 1 for a capital behind a space, 2 for one behind a small word, or 0."""
    if text[units[at - 1][1] : units[at][0]] != " ":
        return 0
    if capital[at]:
        return 1
    small = words[at] in _SMALL and at + 1 < len(units) and text[units[at][1] : units[at + 1][0]] == " "
    return 2 if small and capital[at + 1] else 0
