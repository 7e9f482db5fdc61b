"""A model that grades answers: best-of-n by its grade.

Source: Zheng et al. 2023 (Judging LLM-as-a-Judge), section 3.1, single answer grading.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.distill.blackbox.filters import Filter, Group, best
from pilotfish.errors import ConfigError
from pilotfish.model import Message, Model, Request
from pilotfish.rows.asking import Bill, asked

__all__ = ["GRADE", "BestByJudge", "JudgeGrades", "grade_in", "task_of"]

GRADE = """You grade answers. Read the task and the answer. Say in a sentence or two what is right and what is wrong \
with it, then end with a line of the form "Grade: N", where N is a number from {low} (useless) to {high} (perfect).

Task: {task}

Answer: {answer}"""

_GRADE = re.compile(r"grade\W*?(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_ALONE = re.compile(r"\s*(-?\d+(?:\.\d+)?)(?:\s*/\s*\d+)?\s*\.?\s*")


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


def grade_in(text: str, low: float, high: float) -> float | None:
    """Return the grade that a judge's reply ends with ("Grade: 7", or a number alone); None for none on the scale."""
    found = _GRADE.findall(text)
    alone = _ALONE.fullmatch(text)
    said = found[-1] if found else alone.group(1) if alone else None
    return None if said is None or not low <= float(said) <= high else float(said)


def task_of(request: Request) -> str:
    """Return a conversation as one text; a single turn as it is."""
    if len(request.messages) == 1:
        return request.messages[0].text
    return "\n".join(f"{message.role}: {message.text}" for message in request.messages)


def filled_in(prompt: str, **values: str) -> str:
    """Return a prompt with its places filled in one pass, so that braces in a value are never a place."""
    places = re.compile("|".join(re.escape("{" + name + "}") for name in values))
    return places.sub(lambda found: values[found.group()[1:-1]], prompt)
