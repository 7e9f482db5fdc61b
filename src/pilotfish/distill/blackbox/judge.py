"""Best-of-n by a judge's grade."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pilotfish.distill.blackbox.filters import Filter, Group, Sifted, best
from pilotfish.models.judges import Grades

__all__ = ["BestByJudge"]


@dataclass(frozen=True)
class BestByJudge(Filter):
    """Keep the answers that a judge grades best.

    Attributes:
        judge: who grades.
        count: how many to keep of each row; of equal grades the one that came first.
        least: a grade below this is never kept.
    """

    judge: Grades
    count: int = 1
    least: float = -math.inf

    def sift(self, groups: Sequence[Group], folder: Path, *, progress: bool) -> Sifted:
        """Grade all answers."""
        pairs = [(group.request, said.text) for group in groups for said in group.said]
        told = self.judge.grades(pairs, folder, progress=progress)
        rest = iter(told.grades)
        reasons = [best([next(rest) for _ in group.said], self.count, self.least) for group in groups]
        return Sifted(reasons, told.bill, told.again)
