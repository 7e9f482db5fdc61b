"""Trust an answer whose sums are right: each that it states is computed again."""

from __future__ import annotations

from dataclasses import dataclass

from pilotfish.measure._exact import shown_as
from pilotfish.measure.arithmetic import Sum, sums
from pilotfish.measure.checks import Verdict
from pilotfish.model import Reply, Request

__all__ = ["SumsHold"]


@dataclass(frozen=True)
class SumsHold:
    """Trust a reply whose sums hold, all or a share `above`; one that states none is trusted unless `needed`."""

    above: float = 1.0
    needed: bool = False

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Compute each again."""
        found = list(sums(reply.text))
        if not found:
            why = "It shows no calculation." if self.needed else ""
            return Verdict(not self.needed, float(not self.needed), threshold=self.above, why=why)
        wrong = [one for one in found if not one.is_right]
        score = 1 - len(wrong) / len(found)
        why = " ".join(_told(reply.text, one) for one in wrong)
        return Verdict(score >= self.above, score, threshold=self.above, why=why)


def _told(text: str, wrong: Sum) -> str:
    sign = "-" if wrong.value < 0 else ""
    return f'"{text[wrong.start : wrong.end]}" is wrong: it is {sign}{shown_as(wrong.wanted, wrong.result.text)}.'
