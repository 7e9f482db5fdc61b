"""Faults made on purpose: sentences of a text with a name or a number of it exchanged, whose places are known.

Kryscinski et al. 2020 (FactCC), section 3.1: entity and number swaps of source sentences teach a checker of facts. Here
the exchanged place is the label, and what stays as it was, lower-cased and shortened at times, is borne out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from pilotfish.errors import ConfigError
from pilotfish.measure.support import COMMON
from pilotfish.repair.tokens.rows import Answered
from pilotfish.rows.sentences import sentences_of

__all__ = ["corrupted"]

_NAME = re.compile(r"(?<![.!?\"'\u201d] )(?<!^)\b[A-Z][\w'\u2019-]+(?: (?:of |de |van )?[A-Z][\w'\u2019-]+){0,3}")
_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:[.,]\d+)*(?![\w-]|[.,]\d)")
_WORDS = (6, 45)  # of a sentence that is taken


def corrupted(
    documents: Sequence[str],
    *,
    each: int = 4,
    faulty: float = 0.5,
    foreign: float = 0.15,
    lowered: float = 0.3,
    sentences: int = 2,
    language: str = "en",
    seed: int = 0,
) -> list[Answered]:
    """Return answers made of sentences of documents, some with faults.

    A fault is a name of the sentence exchanged for another name (of the same document where it has one that the
    sentence lacks), a number for another number, or a whole sentence that stands in another document.

    Args:
        documents: the evidence; one without a sentence of a fitting length gives nothing.
        each: answers of a document.
        faulty: share of answers that get a fault, where one can be made.
        foreign: share of those that get a sentence of another document.
        lowered: share of answers in small letters.
        sentences: of an answer at most.
        language: of the sentences.
        seed: the same seed gives the same answers.

    Raises:
        ConfigError: a share outside 0 to 1, or a count below 1.
    """
    if min(each, sentences) < 1 or not all(0 <= share <= 1 for share in (faulty, foreign, lowered)):
        raise ConfigError("answers and sentences are 1 or more; faulty, foreign and lowered are shares")
    dice = random.Random(seed)
    usable = [[one for one in sentences_of(text, language) if _fits(one)] for text in documents]
    names = [sorted({found[0] for one in some for found in _NAME.finditer(one)}) for some in usable]
    every = sorted({name for some in names for name in some})
    found: list[Answered] = []
    for at, (text, some) in enumerate(zip(documents, usable, strict=True)):
        for _ in range(each if some else 0):
            first = dice.randrange(len(some))
            chosen = some[first : first + dice.randint(1, sentences)]
            spans: list[tuple[int, int]] = []
            if dice.random() < faulty:
                chosen, spans = _with_fault(chosen, names[at], every, _elsewhere(usable, at, dice), foreign, dice)
            answer = " ".join(chosen)
            if dice.random() < lowered and len(answer.lower()) == len(answer):
                answer = answer.lower()
            found.append(Answered(answer, text, "", tuple(spans), None, text))
    return found


def _fits(sentence: str) -> bool:
    return _WORDS[0] <= len(sentence.split()) <= _WORDS[1]


def _elsewhere(usable: Sequence[Sequence[str]], at: int, dice: random.Random) -> str:
    """Return a sentence of another document; "" where there is none."""
    others = [number for number, some in enumerate(usable) if some and number != at]
    return dice.choice(usable[dice.choice(others)]) if others else ""


def _with_fault(
    chosen: Sequence[str],
    own: Sequence[str],
    every: Sequence[str],
    other: str,
    foreign: float,
    dice: random.Random,
) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the sentences with one fault, and where it is in them joined; without one where none can be made."""
    parts = list(chosen)
    if other and dice.random() < foreign:
        where = dice.randint(0, len(parts))
        parts.insert(where, other)
        start = sum(len(part) + 1 for part in parts[:where])
        return parts, [(start, start + len(other))]
    places = [
        (number, found, kind)
        for number, part in enumerate(parts)
        for kind, pattern in (("name", _NAME), ("number", _NUMBER))
        for found in pattern.finditer(part)
        if found[0].casefold() not in COMMON
    ]
    dice.shuffle(places)
    for number, found, kind in places:
        new = _another_number(found[0], dice) if kind == "number" else _another_name(found[0], parts, own, every, dice)
        if new:
            part = parts[number]
            parts[number] = part[: found.start()] + new + part[found.end() :]
            start = sum(len(one) + 1 for one in parts[:number]) + found.start()
            return parts, [(start, start + len(new))]
    return parts, []


def _another_name(
    name: str, parts: Sequence[str], own: Sequence[str], every: Sequence[str], dice: random.Random
) -> str:
    said = " ".join(parts).casefold()
    for pool in (own, every):
        fits = [one for one in pool if one.casefold() not in said and one.casefold() not in name.casefold()]
        if fits and (pool is every or dice.random() < 0.7):
            return dice.choice(fits)
    return ""


def _another_number(number: str, dice: random.Random) -> str:
    """Return a number of as many digits that is another one."""
    for _ in range(20):
        digits = [dice.choice("0123456789") if one.isdigit() and dice.random() < 0.6 else one for one in number]
        if digits[0] == "0" and number[0] != "0":
            digits[0] = dice.choice("123456789")
        if (new := "".join(digits)) != number:
            return new
    return ""
