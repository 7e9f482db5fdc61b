"""What answers are worth by a judge: a model that grades, and whose own calls are paid for out of the budget too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.advisor.paying import paid, paid_before
from pilotfish.compete.watch import Budget
from pilotfish.measure.judging import grade_in
from pilotfish.model import Reply
from pilotfish.models.judges import JudgeGrades

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.advisor.task import AnswerTask
    from pilotfish.model import Model

__all__ = ["JudgeMarks"]


class JudgeMarks:
    """Marks by a judge's grades, brought to 0 to 1. Every answer is graded once, and the grade kept.

    Args:
        task: whose requests were answered.
        judge: who grades, from 1 to 10.
        folder: where its answers are kept.

    Attributes:
        budget: whose dollars the judge spends; one without limits until `charge`.
    """

    def __init__(self, task: AnswerTask, judge: Model, folder: Path) -> None:
        self.task, self.grades, self.path = task, JudgeGrades(judge), folder / "judged.sqlite"
        self.budget = Budget()

    def charge(self, budget: Budget) -> None:
        """Take what the judge costs from a budget, and what it cost in earlier runs."""
        self.budget = budget
        budget.spent += paid_before(self.grades.model, self.path)

    def __call__(self, rows: Sequence[int], said: Sequence[str | None]) -> NDArray[np.float64]:
        """Return (rows,) marks. An answer without a grade counts as the worst: nobody is to gain by confusing a judge.

        Raises:
            SpentError: the dollars do not do for all grades; those that were given are kept.
            ModelError: the judge can grade nothing.
            UpstreamError: its endpoint fails for answer after answer.
        """
        low, high = self.grades.low, self.grades.high
        asked = {
            i: self.grades.request(self.task.requests[row], text)
            for i, (row, text) in enumerate(zip(rows, said, strict=True))
            if text
        }
        found = np.zeros(len(rows))
        if not asked:
            return found
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replies = paid(self.grades.model, self.path, list(asked.values()), self.budget).replies
        for i, reply in zip(asked, replies, strict=True):
            grade = grade_in(reply.text, low, high) if isinstance(reply, Reply) else None
            found[i] = 0.0 if grade is None else (grade - low) / (high - low)
        return found
