"""Sums in prose, read exactly: numbers with their groups, signs of money, shares in percent, and units behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pilotfish.measure._exact import computed, is_rounded, value_of

__all__ = ["Number", "Sum", "sums"]

_TOKEN = re.compile(
    r"(?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?P<percent>\s?%)?"
    r"|(?P<equals>(?<![=<>!:+*/-])=(?![=>]))"
    r"|(?P<sign>[-+*/()\u2212\u00d7\u00f7\u2013]|(?<![A-Za-z])x(?![A-Za-z]))"
    r"|(?P<money>[$\u20ac\u00a3])|(?P<word>[A-Za-z\u00b0][A-Za-z\u00b0'-]*)|(?P<blank>[^\S\n]+)|(?P<other>.|\n)"
)
# Behind these words a number belongs to a sum that is written in words: it cannot be read for sure.
_JOIN = frozenset(["plus", "minus", "times", "of", "over", "by", "divided", "multiplied", "half", "twice"])
_MAY_JOIN = frozenset(("and", "per"))  # these, where another number stands before them
_LONGEST = 80  # tokens of a left side
_SIGNS = {"\u2212": "-", "\u2013": "-", "\u00d7": "*", "x": "*", "\u00f7": "/"}
_MOST = 10**30  # what is larger is no sum of prose


@dataclass(frozen=True)
class Number:
    """A number of a text.

    Attributes:
        start, end: where its digits stand, without sign, money and percent.
        text: those digits.
        value: exactly, a share of one hundred where a percent sign follows.
    """

    start: int
    end: int
    text: str
    value: Fraction


@dataclass(frozen=True)
class Sum:
    """A sum and the result that a text gives for it.

    Attributes:
        start, end: where it stands, from its first operand to its result.
        left: as it is written.
        operands: its numbers.
        value: of the left side, exactly.
        result: as the text has it; a minus counts to its value and not to its place.
        percent: whether the result is in percent.
        negative: whether a minus stands before the result.
        shares: whether the left side has a percent sign: its result may then be meant in percent without one.
    """

    start: int
    end: int
    left: str
    operands: tuple[Number, ...]
    value: Fraction
    result: Number
    percent: bool
    negative: bool
    shares: bool = False

    @property
    def wanted(self) -> Fraction:
        """The number that the result should show, without its sign."""
        return abs(self.value) * (100 if self.percent else 1)

    @property
    def is_right(self) -> bool:
        """Whether the result is the value, or the value rounded to the digits that are shown."""
        same_sign = self.negative == (self.value < 0) or self.value == 0
        may = [self.wanted, self.wanted * 100] if self.shares and not self.percent else [self.wanted]
        return same_sign and any(is_rounded(one, self.result.text) for one in may)


def sums(text: str, values: dict[str, Fraction] | None = None) -> Iterator[Sum]:
    """Yield the sums of a text in order: `48 eggs / 2 = 24 eggs`, `$3 x 4 = $12`, `<<48/2=24>>`.

    What cannot be read for sure (a chain of results, a dangling sign, an unknown letter) is left out, not guessed.

    Args:
        text: the text.
        values: other values for numbers as they are written, by which a sum is computed.
    """
    tokens = [one for one in _TOKEN.finditer(text) if one.lastgroup != "blank"]
    for at, token in enumerate(tokens):
        if token.lastgroup != "equals":
            continue
        told = _result(tokens, at + 1)
        left = _left(tokens, at, values or {}) if told is not None else None
        if told is None or left is None:
            continue
        result, percent, negative, end = told
        value, operands, start = left
        written = text[start : token.start()].strip()
        yield Sum(start, end, written, operands, value, result, percent, negative, "%" in written)


def _kind(token: re.Match[str]) -> str:
    return "number" if token["number"] else str(token.lastgroup)


def _result(tokens: Sequence[re.Match[str]], at: int) -> tuple[Number, bool, bool, int] | None:
    """Return the number behind an equals sign, whether it is in percent and negative, and where it ends."""
    negative = False
    while at < len(tokens) and (_kind(tokens[at]) == "money" or tokens[at][0] in "-\u2212"):
        negative |= _kind(tokens[at]) != "money"
        at += 1
    if at >= len(tokens) or not tokens[at]["number"]:
        return None
    found = tokens[at]
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    # A sign behind it makes it the first operand of another sum; a letter or a digit that touches it, another word.
    if after is not None and (_kind(after) == "sign" and after[0] != ")" and _goes_on(tokens, at + 2)):
        return None
    # So does a number behind it: 1 1/2, 18 000; and a letter that touches it is an unknown.
    if after is not None and _kind(after) == "number":
        return None
    if (
        after is not None
        and after.start() == found.end()
        and (after[0] in "_^\\x" or (len(after[0]) == 1 and _kind(after) == "word"))
    ):
        return None
    digits = found["number"]
    return (
        Number(found.start(), found.start() + len(digits), digits, value_of(digits)),
        bool(found["percent"]),
        negative,
        found.end(),
    )


def _goes_on(tokens: Sequence[re.Match[str]], at: int) -> bool:
    return at < len(tokens) and (_kind(tokens[at]) in ("number", "money") or tokens[at][0] == "(")


def _left(
    tokens: Sequence[re.Match[str]], stop: int, values: dict[str, Fraction]
) -> tuple[Fraction, tuple[Number, ...], int] | None:
    """Return the value of the longest sum before an equals sign, its numbers, and where it begins."""
    first = stop
    while first and stop - first < _LONGEST and _kind(tokens[first - 1]) in ("number", "sign", "money", "word"):
        first -= 1
    for start in range(first, stop):
        begins = tokens[start]
        if _kind(begins) not in ("number", "money") and begins[0] not in ("(", "-"):
            continue
        read = _read(tokens[start:stop], values)
        if read is None:
            continue
        before = tokens[start - 1] if start else None
        counted = any(one["number"] for one in tokens[first:start])
        if before is not None and _touches(before, begins, counted):
            return None
        return *read, begins.start()
    return None


def _touches(before: re.Match[str], begins: re.Match[str], counted: bool) -> bool:
    """Say whether a sum cannot begin there: what stands before belongs to it, and cannot be read."""
    if _kind(before) == "word":
        word = before[0].casefold()
        return word in _JOIN or (counted and word in _MAY_JOIN) or before.end() == begins.start()
    if _kind(before) == "sign":
        return begins[0] != "(" or before[0] != "("
    # A whole number before a fraction; an exponent, a word of another kind.
    return _kind(before) == "number" or (before.end() == begins.start() and before[0] in ".^_\\%")


def _read(tokens: Sequence[re.Match[str]], values: dict[str, Fraction]) -> tuple[Fraction, tuple[Number, ...]] | None:
    """Return the value of a left side and its numbers; None where it is no whole sum."""
    given: list[tuple[str, Fraction]] = []
    numbers: list[Number] = []
    last = ""
    units = 3  # words since the last number: two may be its unit
    for token in tokens:
        kind = _kind(token)
        if kind == "number":
            digits = token["number"]
            if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
                return None  # a time of day, or a code
            value = values.get(digits, value_of(digits)) / (100 if token["percent"] else 1)
            numbers.append(Number(token.start(), token.start() + len(digits), digits, value))
            given.append(("n", value))
            units = 0
        elif kind == "word":
            units += 1
            # One letter may be a variable, and what is joined is no unit.
            if units > 2 or len(token[0]) == 1 or token[0].casefold() in _JOIN | _MAY_JOIN:
                return None
        elif kind == "sign":
            if given and given[-1][0] == "*" and token[0] in "-+" and last == "x":
                return None  # a variable
            given.append((_SIGNS.get(token[0], token[0]), Fraction()))
            units = 3 if token[0] != ")" else 0
        last = token[0]
    if len(numbers) < 2 or _is_mixed(tokens):
        return None
    found = computed(given)
    if found is None or abs(found) > _MOST:
        return None
    return found, tuple(numbers)


def _is_mixed(tokens: Sequence[re.Match[str]]) -> bool:
    """Say whether a division by a fraction is meant, as in `3 / 1/4`: its strokes are spaced apart and together."""
    for at in range(len(tokens) - 4):
        one, two = tokens[at + 1], tokens[at + 3]
        if one[0] == two[0] == "/" and all(tokens[at + k]["number"] for k in (0, 2, 4)):
            loose = [tokens[at + k].end() != tokens[at + k + 1].start() for k in (1, 3)]
            if loose[0] != loose[1]:
                return True
    return False
