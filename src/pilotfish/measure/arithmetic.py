"""The equations that a text states, computed again in exact fractions: "48 / 2 = 24", "$3 x 4 = $12", "<<48/2=24>>".

Source: the calculator annotations of Cobbe et al. 2021 (Training Verifiers to Solve Math Word Problems), appendix C;
plain sums are read too. What is not plain arithmetic (variables, powers, functions) is left alone, not judged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Equation", "equations"]

_TOKEN = re.compile(
    r"(?P<num>(?<![\w.])[$€£]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|(?<![\w.])[$€£]?\.\d+)"
    r"|(?P<eq>=)|(?P<op>[-+*/×÷−–·])|(?P<times>[xX](?=\s*[$€£(]?\.?\d))|(?P<par>[()])|(?P<of>\bof\b)"
    r"|(?P<cent>%)|(?P<word>[^\W\d_]+)|(?P<space>[ \t]+)|(?P<other>.|\n)",
)
_OPERATORS = {"×": "*", "·": "*", "x": "*", "X": "*", "of": "*", "÷": "/", "−": "-", "–": "-"}
_UNITS = frozenset("mgshl")  # single letters behind a number that are units, not unknowns
_LONGEST = 200  # tokens of one side: nobody writes more, and nothing takes long
_DEEPEST = 20  # brackets


@dataclass(frozen=True)
class Equation:
    """Two sides of an equals sign.

    Attributes:
        start, end: of both, in characters.
        written: the right side, as it stands.
        at: where that starts.
        left: what the left side comes to; None where nothing can be divided by what it divides by.
        right: what the right side comes to.
        holds: whether they are equal, or equal after rounding to the digits that are written.
    """

    start: int
    end: int
    written: str
    at: int
    left: Fraction | None
    right: Fraction
    holds: bool


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def equations(text: str) -> list[Equation]:
    """Return the equations of plain arithmetic, in order; each sign of a chain `a = b = c` is one.

    A side is numbers, + - * / ("x", "×", "÷", "of"), brackets, units and signs of money. One side at least computes
    something. A per cent is read as a share or as its number, whichever makes it hold.
    """
    tokens = [
        _Token(str(one.lastgroup), one.group(), one.start(), one.end())
        for one in _TOKEN.finditer(text)
        if one.lastgroup != "space"
    ]
    found = []
    for at, token in enumerate(tokens):
        if token.kind != "eq" or _part_of_another_sign(text, token):
            continue
        left, right = _side(tokens, at, -1), _side(tokens, at, 1)
        if left is None or right is None or not (_computes(left) or _computes(right)) or _converts(left, right):
            continue
        found.append(_equation(text, left, right))
    return found


def _part_of_another_sign(text: str, token: _Token) -> bool:
    return text[max(0, token.start - 1) : token.start] in ("=", "<", ">", "!") or text[token.end : token.end + 1] == "="


def _computes(side: Sequence[_Token]) -> bool:
    numbers = sum(one.kind == "num" for one in side)
    return numbers > 1


def _converts(left: Sequence[_Token], right: Sequence[_Token]) -> bool:
    """Return whether a number has its unit on the left (2 kg = 2 x 1000), or dollars become cents."""
    if not _computes(left) and any(one.kind == "word" for one in left):
        return True
    cents = [any(one.text.lower() in ("cent", "cents") for one in side) for side in (left, right)]
    money = [any(one.kind == "num" and one.text[0] in "$€£" for one in side) for side in (left, right)]
    return (cents[0] and money[1]) or (cents[1] and money[0])


def _side(tokens: Sequence[_Token], sign: int, step: int) -> list[_Token] | None:
    """Return the tokens of a side that can be computed: the longest that touches the sign; None where there is none."""
    taken: list[_Token] = []
    at = sign + step
    while 0 <= at < len(tokens) and len(taken) < _LONGEST and tokens[at].kind not in ("eq", "other"):
        taken.append(tokens[at])
        at += step
    if len(taken) == _LONGEST:
        return None
    ordered = taken[::-1] if step < 0 else taken
    sizes = range(len(ordered), 0, -1)
    for size in sizes:
        side = ordered[-size:] if step < 0 else ordered[:size]
        if not _whole(side):
            continue
        # What the rest begins with must not belong to it: "x + 5 - 3 = 12" says nothing of 5 - 3.
        first = sign + step * (size + 1)
        near = [tokens[i] for i in (first, first + step) if 0 <= i < len(tokens)]
        return None if _joined(near, side, step) else side
    return None


def _joined(near: Sequence[_Token], side: Sequence[_Token], step: int) -> bool:
    """Return whether what stands beside a side, nearest first, makes something else of it than what it says alone."""
    if not near:
        return False
    beside = near[0]
    if beside.kind == "num":  # 1 1/2, 80 000
        return side[0 if step < 0 else -1].kind != "word"
    if beside.kind in ("op", "times", "par", "of"):
        return True
    touches = beside.end == side[0].start if step < 0 else beside.start == side[-1].end
    if beside.kind == "word":
        unknown = len(beside.text) == 1 and beside.text not in "aAI"
        return touches or unknown or (step < 0 and len(near) > 1 and near[1].kind == "num")  # 1 hour 20 minutes
    return beside.text in "^√!_{}\\|" or (beside.text == ":" and touches and len(near) > 1 and near[1].kind == "num")


def _whole(side: Sequence[_Token]) -> bool:
    return _value(side, shares=True) is not _NOTHING


class _Nothing:
    """What is no expression."""


_NOTHING = _Nothing()


def _value(side: Sequence[_Token], *, shares: bool) -> Fraction | _Nothing | None:
    """Return what a side comes to, None where it divides by nothing, `_NOTHING` where it is no expression."""
    parser = _Parser(side, shares)
    try:
        found = parser.sum(0)
    except _NoExpressionError:
        return _NOTHING
    except ZeroDivisionError:
        return None
    return found if parser.at == len(side) else _NOTHING


class _NoExpressionError(Exception):
    pass


class _Parser:
    """Sums of products of numbers and brackets, by descent."""

    def __init__(self, tokens: Sequence[_Token], shares: bool) -> None:
        self.tokens, self.shares, self.at = tokens, shares, 0

    def sum(self, depth: int) -> Fraction:
        total = self.product(depth)
        while (sign := self._operator()) in ("+", "-"):
            self.at += 1
            value = self.product(depth)
            total = total + value if sign == "+" else total - value
        return total

    def product(self, depth: int) -> Fraction:
        total = self.factor(depth)
        while (sign := self._operator()) in ("*", "/"):
            self.at += 1
            value = self.factor(depth)
            total = total * value if sign == "*" else total / value
        return total

    def factor(self, depth: int) -> Fraction:
        if depth > _DEEPEST or self.at >= len(self.tokens):
            raise _NoExpressionError
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "op" and token.text in "-−–":
            return -self.factor(depth + 1)
        if token.kind == "par" and token.text == "(":
            value = self.sum(depth + 1)
            if self.at >= len(self.tokens) or self.tokens[self.at].text != ")":
                raise _NoExpressionError
            self.at += 1
            return self._unit(value)
        if token.kind != "num":
            raise _NoExpressionError
        value = Fraction(token.text.lstrip("$€£").replace(",", ""))
        if self.at < len(self.tokens) and self.tokens[self.at].kind == "cent":
            self.at += 1
            value = value / 100 if self.shares else value
        return self._unit(value)

    def _unit(self, value: Fraction) -> Fraction:
        """Pass over up to two words behind a number; a letter alone is an unknown, but for the common units."""
        for _ in range(2):
            if self.at >= len(self.tokens) or self.tokens[self.at].kind != "word":
                break
            word = self.tokens[self.at]
            if len(word.text) == 1 and word.text not in _UNITS:
                raise _NoExpressionError
            self.at += 1
        return value

    def _operator(self) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at].kind not in ("op", "times", "of"):
            return ""
        text = self.tokens[self.at].text
        return _OPERATORS.get(text, text)


def _equation(text: str, left: Sequence[_Token], right: Sequence[_Token]) -> Equation:
    ways = []
    for shares in (True, False):
        a, b = _value(left, shares=shares), _value(right, shares=shares)
        assert not isinstance(a, _Nothing) and not isinstance(b, _Nothing)
        ways.append((a, b))
    # "0.25 x 100 = 25%" means the number, "50 / 200 = 25%" the share; a left side with both is read as shares.
    ways.append((ways[0][0], ways[1][1]))
    start, end, at = left[0].start, right[-1].end, right[0].start
    for a, b in ways:
        if a is not None and b is not None and _equal(a, b, left, right):
            return Equation(start, end, text[at:end], at, a, b, True)
    a, b = ways[0]
    if b is None:
        a, b = None, a if a is not None else Fraction(0)
    return Equation(start, end, text[at:end], at, a, b, False)


def _equal(a: Fraction, b: Fraction, left: Sequence[_Token], right: Sequence[_Token]) -> bool:
    if a == b:
        return True
    for exact, written, side in ((a, b, right), (b, a, left)):
        digits = _digits(side)
        # Decimals are rounded by some and cut by others; a whole number is exact.
        if digits and abs(exact - written) < Fraction(1, 10**digits):
            return True
    return False


def _digits(side: Sequence[_Token]) -> int:
    """Return the decimals of a side that is one number, two more where they are of a per cent; 0 for any other."""
    numbers = [one for one in side if one.kind == "num"]
    if len(numbers) != 1 or any(one.kind in ("op", "times", "of") for one in side[1:]):
        return 0
    _, _, decimals = numbers[0].text.partition(".")
    return len(decimals) + (2 if any(one.kind == "cent" for one in side) else 0)
