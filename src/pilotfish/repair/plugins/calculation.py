"""Sums whose result is wrong: computed again, exactly.

GSM8K's own marks (`<<48/2=24>>`) are sums like those of prose. Cobbe et al. 2021 (Training Verifiers), section 5, run
such sums by a calculator while a model writes; here they are checked when it has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pilotfish.measure._exact import shown_as
from pilotfish.measure.arithmetic import sums
from pilotfish.repair.protected import check_touch
from pilotfish.repair.spans import Context, Span
from pilotfish.repair.ways import Mends, Replace, Way

__all__ = ["Calculation"]

_NUMBER = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w%]|[.,]\d)")


@dataclass(frozen=True)
class Calculation(Mends):
    """Finds wrong results of sums that are written out, and puts the right ones there.

    A result that is rounded or cut to the digits that are shown is right. What cannot be read for sure is left.

    Attributes:
        follows: whether what follows from a wrong result is mended too: the same number, where it stood nowhere before
            the wrong sum (neither in the question, the passages nor the answer), is the result said again, and sums
            over it are computed anew. What follows without being written as a sum stays wrong.
        way: what is done about them.
        touch: numbers by default, for that is what it mends.
        name: in traces.
    """

    follows: bool = False
    way: Way = Replace()  # noqa: RUF009  # a frozen dataclass
    touch: frozenset[str] = frozenset({"numbers"})
    name: str = "calculation"

    def __post_init__(self) -> None:
        check_touch(self.touch)

    def detect(self, text: str, context: Context) -> Sequence[Span]:
        """Return the wrong results, and with `follows` what stands on them."""
        found: list[Span] = []
        around = " ".join((context.question, *context.passages, context.system, context.before))
        right = self._mended_before(context, _numbers(around)) if self.follows else {}
        at = 0
        # One after another: what is right of one sum decides the next.
        while (one := next((some for some in sums(text[at:], right)), None)) is not None:
            found += _said_again(text, at, at + one.start, right)
            operands = [number for number in one.operands if number.text in right]
            found += [_span(at + number.start, at + number.end, number.text, right) for number in operands]
            wrong = one.result
            if not one.is_right and (one.value >= 0 or one.negative):
                better = shown_as(one.wanted, wrong.text)
                why = f"{' '.join(one.left.split())} = {better}, not {wrong.text}"
                found.append(Span(at + wrong.start, at + wrong.end, self.name, 1.0, why, better))
                if (
                    self.follows
                    and not one.percent
                    and wrong.text not in _numbers(f"{around} {text[: at + wrong.start]}")
                ):
                    right[wrong.text] = Fraction(better.replace(",", ""))
            at += one.end
        return found + _said_again(text, at, len(text), right)

    def _mended_before(self, context: Context, known: set[str]) -> dict[str, Fraction]:
        edits = [edit for edit in context.edits if edit.kind == self.name]
        return {
            edit.before: Fraction(edit.after.replace(",", ""))
            for edit in edits
            if edit.before not in known and _NUMBER.fullmatch(edit.before) and _NUMBER.fullmatch(edit.after)
        }


def _said_again(text: str, start: int, end: int, right: dict[str, Fraction]) -> list[Span]:
    return [
        _span(one.start(), one.end(), one[0], right) for one in _NUMBER.finditer(text, start, end) if one[0] in right
    ]


def _span(start: int, end: int, told: str, right: dict[str, Fraction]) -> Span:
    better = shown_as(right[told], told)
    return Span(start, end, "calculation", 1.0, f"{told} follows from a wrong result: {better}", better)


def _numbers(text: str) -> set[str]:
    return {one[0] for one in _NUMBER.finditer(text)}
