"""A model that grades answers: best-of-n by its grade.

Source: Zheng et al. 2023 (Judging LLM-as-a-Judge), section 3.1, single answer grading.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.distill.blackbox.filters import Filter, Group, best
from pilotfish.errors import ConfigError
from pilotfish.measure.judging import GRADE, filled_in, grade_in, task_of
from pilotfish.model import Message, Model, Request
from pilotfish.rows.asking import Bill, asked

__all__ = ["BestByJudge", "JudgeGrades"]


@dataclass(frozen=True)
class JudgeGrades:
    """A model as a judge of single answers.

    Attributes:
        model: the judge.
        low, high: the scale; a number outside it is no grade.
        prompt: the question, with `{task}` and `{answer}`; `{low}` and `{high}` are filled in too.
        settings: further fields of the request.
    """

    model: Model
    low: float = 1
    high: float = 10
    prompt: str = GRADE
    settings: dict[str, Any] = field(default_factory=lambda: {"temperature": 0.0, "max_tokens": 256})

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"a scale goes up: not from {self.low} to {self.high}")
        for place in ("{task}", "{answer}"):
            if place not in self.prompt:
                raise ConfigError(f"the judge's prompt needs the place {place}")

    def request(self, request: Request, answer: str) -> Request:
        """Return what the judge is asked about an answer to a request."""
        filled = filled_in(
            self.prompt, low=f"{self.low:g}", high=f"{self.high:g}", task=task_of(request), answer=answer
        )
        return Request((Message("user", filled),), **self.settings)

    def grades(
        self, pairs: Sequence[tuple[Request, str]], folder: Path, *, progress: bool
    ) -> tuple[list[float | None], Bill]:
        """Return the grade of each answer, None where the judge gave none, and what that took."""
        told = asked(self.model, [(self.request(*pair), 0) for pair in pairs], folder / "judged", progress=progress)
        return [None if said is None else grade_in(said.text, self.low, self.high) for said in told.said], told.bill


@dataclass(frozen=True)
class BestByJudge(Filter):
    """Keep the answers that a judge grades best.

    Attributes:
        judge: who grades.
        count: how many to keep of each row; of equal grades the one that came first.
        least: a grade below this is never kept.
    """

    judge: JudgeGrades
    count: int = 1
    least: float = -math.inf

    def sift(self, groups: Sequence[Group], folder: Path, *, progress: bool) -> tuple[list[list[str | None]], Bill]:
        """Grade all answers."""
        pairs = [(group.request, said.text) for group in groups for said in group.said]
        grades, bill = self.judge.grades(pairs, folder, progress=progress)
        rest = iter(grades)
        return [best([next(rest) for _ in group.said], self.count, self.least) for group in groups], bill
