"""Phrases that a text itself says mean the same: abbreviations, other names, appositions.

Source: abbreviations by the algorithm of Schwartz and Hearst 2003 (A Simple Algorithm for Identifying Abbreviation
Definitions in Biomedical Text).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pilotfish.compete.phrases.find import FUNCTION_WORDS
from pilotfish.compete.phrases.pair import Pair, distinct, normal

__all__ = ["abbreviations", "aliases", "appositions", "long_form"]

_PARENTHESES = re.compile(r"\(\s*([^()]{1,80}?)\s*\)")
_CAPITAL = r"[^\W\d_a-zß-öø-ÿ][\w'’.-]*"
# A name: words with a capital, and the small words that names hold.
_NAME = rf"{_CAPITAL}(?:\s+(?:(?:of|the|de|la|von|van|and|der|du|al)\s+)*{_CAPITAL}){{0,5}}"
_KNOWN_AS = re.compile(
    rf"(?P<a>{_NAME})\s*,?\s*(?:\(\s*)?(?:is\s+|was\s+)?(?:also|better|formerly|commonly|widely|popularly|originally)\s+"
    rf"(?:known|called|referred\s+to|spelled|named)\s+(?:as\s+|simply\s+as\s+)?[\"“]?\s*(?P<b>(?:[Tt]he\s+)?{_NAME})"
)
_APPOSITION = re.compile(
    rf"(?P<a>{_NAME})\s*,\s*(?:an?|the)\s+(?P<b>(?:{_CAPITAL}\s+)?[a-zß-öø-ÿ][\w'’-]*(?:\s+(?!who|which|that|and|was|is)[\w'’-]+){{0,4}})\s*[,.;)]"
)
_ALIAS = re.compile(rf"(?P<a>{_NAME})\s*\(\s*(?:or\s+|also\s+)?[\"“]?\s*(?P<b>{_NAME})\s*[\"”]?\s*\)")


def long_form(short: str, before: str) -> str | None:
    """Return what an abbreviation stands for, the end of the words before it; None where it is no abbreviation.

    From the end backwards each letter or digit of the abbreviation is found in the words; the first one begins a word.
    """
    letters = [one for one in short.casefold() if one.isalnum()]
    if not letters:
        return None
    text = before.casefold()
    if len(text) != len(before):
        return None  # a letter whose lower case is two: places would not be the same
    at = len(text) - 1
    for number in range(len(letters) - 1, -1, -1):
        while at >= 0 and (text[at] != letters[number] or (number == 0 and at > 0 and text[at - 1].isalnum())):
            at -= 1
        if at < 0:
            return None
        at -= 1
    # From the beginning of the word, which may stand before a hyphen.
    return before[before.rfind(" ", 0, at + 1) + 1 :].strip()


def abbreviations(texts: Sequence[str]) -> list[Pair]:
    """Return (long form, abbreviation) of all "long form (ABBR)" and "ABBR (long form)", of the kind "abbreviation"."""

    def each() -> Iterator[Pair]:
        for text in texts:
            for found in _PARENTHESES.finditer(text):
                inner = re.split(r"[,;]", found.group(1))[0].strip()
                before = text[max(0, found.start() - 200) : found.start()].rstrip()
                if _is_short(inner):
                    words = before.split()[-min(len(inner) + 5, 2 * len(inner)) :]
                    short, long = inner, long_form(inner, " ".join(words))
                else:
                    last = before.split()[-1:]
                    if not last or not _is_short(last[0]):
                        continue
                    short, long = last[0], long_form(last[0], inner)
                    # The whole of it is meant, not its end.
                    long = long if long == inner else None
                if long is not None and _is_long(long, short):
                    yield Pair(long, short, "abbreviation")

    return distinct(each())


def _is_short(text: str) -> bool:
    """Say whether this may be an abbreviation: 2 to 10 characters, two words at most, a letter, the first no sign."""
    return (
        2 <= len(text) <= 10
        and len(text.split()) <= 2
        and any(map(str.isalpha, text))
        and text[0].isalnum()
        # Beyond the paper, whose texts are abstracts: a word in parentheses is no abbreviation without a capital.
        and any(map(str.isupper, text))
    )


def _is_long(long: str, short: str) -> bool:
    words = long.split()
    return (
        len(long) > len(short)
        and len(words) <= min(len(short) + 5, 2 * len(short))
        and short.casefold() not in (word.casefold() for word in words)
    )


def aliases(texts: Sequence[str]) -> list[Pair]:
    """Return names that texts give one another, "X, also known as Y" and "X (Y)", of the kind "alias"."""
    found = []
    for text in texts:
        for form in (_KNOWN_AS, _ALIAS):
            found += [Pair(one["a"], _without_article(one["b"]), "alias") for one in form.finditer(text)]
    short = {pair.b for pair in abbreviations(texts)}
    away = short | {name for pair in found for name in (pair.a, pair.b) if normal(name) in FUNCTION_WORDS}
    return distinct(pair for pair in found if not {pair.a, pair.b} & away)


def appositions(texts: Sequence[str]) -> list[Pair]:
    """Return names with what texts say they are, "X, a Y,", of the kind "apposition": Y is wider than X."""
    return distinct(Pair(one["a"], one["b"], "apposition") for text in texts for one in _APPOSITION.finditer(text))


def _without_article(name: str) -> str:
    return re.sub(r"^[Tt]he\s+", "", name)
