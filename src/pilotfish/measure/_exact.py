"""Exact values: sums of fractions, and the digits that show a value."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

__all__ = ["computed", "is_rounded", "shown_as", "value_of"]


def computed(tokens: list[tuple[str, Fraction]]) -> Fraction | None:
    """Return the value of a sum; None of what is no whole sum, and of a division by nothing.

    Args:
        tokens: ("n", a number), or (a sign, anything): + - * / and round brackets.
    """
    reader = _Reader(tokens)
    found = reader.sum()
    return found if reader.at == len(tokens) else None


def is_rounded(value: Fraction, digits: str) -> bool:
    """Say whether digits show a value: exactly, or rounded (up at a half, or to even) or cut to their decimals."""
    told = value_of(digits)
    if told == value:
        return True
    places = len(digits.partition(".")[2])
    if not places and value.denominator != 1 and told == 0:
        return False
    step = Fraction(1, 10**places)
    low = (value // step) * step
    return told in (_rounded(value, places, ROUND_HALF_UP), _rounded(value, places, ROUND_HALF_EVEN), low)


def shown_as(value: Fraction, like: str) -> str:
    """Return a value that is not negative in digits: exactly where six decimals do, else as many as `like` has or two.

    Args:
        value: from 0 on.
        like: digits whose groups, and whose cents where they have two decimals, are kept.
    """
    places = next((n for n in range(7) if (value * 10**n).denominator == 1), None)
    decimals = len(like.partition(".")[2])
    if places is None:
        places = max(2, decimals)
    elif decimals == 2 and places < 2:
        places = 2
    told = _rounded(value, places, ROUND_HALF_UP)
    whole, part = divmod(round(told * 10**places), 10**places)
    # Groups where the text has them; a number that was too short to need any tells nothing.
    head = f"{whole:,}" if "," in like else str(whole)
    return f"{head}.{part:0{places}d}" if places else head


def value_of(digits: str) -> Fraction:
    """Return what digits mean, their groups put aside."""
    return Fraction(digits.replace(",", ""))


def _rounded(value: Fraction, places: int, how: str) -> Fraction:
    with localcontext() as exactly:
        exactly.prec = 80
        scaled = value * 10**places
        # Twenty more digits than are kept decide every tie but an exact one, which is exact in them.
        whole = Decimal(scaled.numerator) / Decimal(scaled.denominator)
        return Fraction(whole.to_integral_value(rounding=how)) / Fraction(10**places)


def _step(value: Fraction, sign: str, other: Fraction) -> Fraction:
    if sign == "+":
        return value + other
    if sign == "-":
        return value - other
    return value * other if sign == "*" else value / other


class _Reader:
    """Products before sums, from the left; None stands for what is no sum, a division by nothing too."""

    def __init__(self, tokens: list[tuple[str, Fraction]]) -> None:
        self.tokens, self.at = tokens, 0

    def sum(self) -> Fraction | None:
        return self._chain(("+", "-"), self.product)

    def product(self) -> Fraction | None:
        return self._chain(("*", "/"), self.factor)

    def factor(self) -> Fraction | None:
        kind, value = self._next()
        if kind == "n":
            return value
        if kind == "-":
            inner = self.factor()
            return None if inner is None else -inner
        if kind == "(":
            inner = self.sum()
            return inner if inner is not None and self._next()[0] == ")" else None
        return None

    def _chain(self, signs: tuple[str, ...], part: Callable[[], Fraction | None]) -> Fraction | None:
        value = part()
        while value is not None and self.at < len(self.tokens) and self.tokens[self.at][0] in signs:
            sign = self._next()[0]
            other = part()
            if other is None or (sign == "/" and other == 0):
                return None
            value = _step(value, sign, other)
        return value

    def _next(self) -> tuple[str, Fraction]:
        found = self.tokens[self.at] if self.at < len(self.tokens) else ("", Fraction())
        self.at += 1
        return found
