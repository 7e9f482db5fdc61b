"""Trust an answer whose sums are right: each equation that it states is computed again."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pilotfish.measure.arithmetic import Equation, equations
from pilotfish.measure.checks import Verdict
from pilotfish.model import Reply, Request

__all__ = ["SumsHold"]


@dataclass(frozen=True)
class SumsHold:
    """Trust a reply whose equations hold, all or a share `above`; one that states none is trusted unless `needed`."""

    above: float = 1.0
    needed: bool = False

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Compute each again."""
        found = equations(reply.text)
        if not found:
            why = "It shows no calculation." if self.needed else ""
            return Verdict(not self.needed, float(not self.needed), threshold=self.above, why=why)
        wrong = [one for one in found if not one.holds]
        score = 1 - len(wrong) / len(found)
        why = " ".join(_told(reply.text, one) for one in wrong)
        return Verdict(score >= self.above, score, threshold=self.above, why=why)


def _told(text: str, wrong: Equation) -> str:
    stated = text[wrong.start : wrong.end]
    if wrong.left is None:
        return f'"{stated}" divides by zero.'
    return f'"{stated}" is wrong: the left side is {_number(wrong.left)}.'


def _number(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"
