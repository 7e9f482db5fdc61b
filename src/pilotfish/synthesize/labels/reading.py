"""From a reply to what it says of a row: the value, and the probabilities where the reply has them."""

from __future__ import annotations

import re
from math import exp
from typing import Any

from pilotfish.errors import DataError
from pilotfish.model import Reply, TokenLogprob
from pilotfish.models.classify._parse import parse_label
from pilotfish.rows._row import Row
from pilotfish.synthesize.labels.kind import Kind, Opinion
from pilotfish.synthesize.labels.score import Score
from pilotfish.synthesize.recipe import Unread

__all__ = ["answered", "chosen"]


def chosen(kind: Kind, variant: str, reply: Reply) -> Opinion:
    """Return what the probabilities of all choices say.

    Raises:
        DataError: the reply has none.
    """
    choices = kind.choices(variant)
    if choices is None or not reply.logprobs or any(text not in choices for text, _ in reply.logprobs[0].top):
        raise DataError("no probabilities of the choices in the answer")
    return Opinion({choices[text]: exp(logprob) for text, logprob in reply.logprobs[0].top}, soft=True)


def answered(kind: Kind, row: Row, variant: str, reply: Reply) -> Opinion:
    """Return what an answer says: its value, with the probability of its words where the reply has it.

    An answer that is no JSON but names one of the choices is taken at its word.

    Raises:
        DataError: it says nothing that the kind knows, or does not fit the row.
    """
    choices = kind.choices(variant)
    try:
        part = next(iter(kind.fields.read(reply.text)))
        if isinstance(part, Unread):
            raise DataError(part.reason)
    except DataError:
        named = None if choices is None else parse_label(reply.text, {text: text for text in choices})
        if choices is None or named is None:
            raise
        return Opinion({choices[named]: 1.0})
    value = kind.read(part, row, variant)
    if not reply.logprobs:
        return Opinion({value: 1.0})
    if isinstance(kind, Score) and choices is not None:
        shares = _numbers(reply, choices)
        if shares:
            return Opinion(shares, soft=True)
    said = next(iter(part.values()))
    return Opinion({value: 1.0}, weight=_probability(reply, said if isinstance(said, str) else None))


def _probability(reply: Reply, words: str | None) -> float | None:
    """Return the probability of some words of an answer, or of all of it, by the tokens they lie in."""
    tokens = reply.logprobs or ()
    at = -1 if words is None else reply.text.rfind(words)
    start, end = (at, at + len(words)) if words is not None and at >= 0 else (0, len(reply.text))
    inside = [token for token, begin, stop in _placed(tokens) if begin < end and stop > start]
    return exp(sum(token.logprob for token in inside)) if inside else None


def _numbers(reply: Reply, choices: Any) -> dict[float, float]:
    """Return the probabilities of the numbers of a scale at the token that is the answer's number.

    None where a number of the scale begins another ("1" and "10"), as a token does not tell them apart.
    """
    if any(one != other and other.startswith(one) for one in choices for other in choices):
        return {}
    numbers = list(re.finditer(r"-?\d+", reply.text))
    if not numbers:
        return {}
    last = numbers[-1]
    for token, start, end in _placed(reply.logprobs or ()):
        if start <= last.start() and last.end() <= end:
            found: dict[float, float] = {}
            for text, logprob in dict([*token.top, (token.token, token.logprob)]).items():
                number = text.strip(" \t\n\":,{}[]'")
                if number in choices:
                    found[choices[number]] = found.get(choices[number], 0.0) + exp(logprob)
            total = sum(found.values())
            return {value: share / total for value, share in found.items()}
    return {}


def _placed(tokens: tuple[TokenLogprob, ...]) -> list[tuple[TokenLogprob, int, int]]:
    """Return tokens with the characters of the text that they are."""
    found, at = [], 0
    for token in tokens:
        found.append((token, at, at + len(token.token)))
        at += len(token.token)
    return found
