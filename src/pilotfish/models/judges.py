"""Who grades answers: a model that is asked, or a reward, which is a number.

Sources: Zheng et al. 2023 (Judging LLM-as-a-Judge), section 3.1, single answer grading; Burns et al. 2023
(Weak-to-Strong Generalization), section 3: a small model's preferences teach a larger one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.judging import GRADE, filled_in, grade_in, task_of
from pilotfish.model import Message, Model, Request
from pilotfish.models.calls import heard
from pilotfish.rows._progress import Progress
from pilotfish.rows.asking import Bill

__all__ = ["Grades", "JudgeGrades", "JudgeReward", "Told"]

# From a prompt and answers to it to one number each; larger is better.
Reward = Callable[[str, Sequence[str]], Sequence[float]]


@dataclass(frozen=True)
class Told:
    """What a judge told.

    Attributes:
        grades: one an answer; None where there is none.
        bill: what they took.
        again: calls that the endpoint failed: another run makes them, and no other.
    """

    grades: list[float | None]
    bill: Bill = field(default_factory=Bill)
    again: int = 0


class Grades(Protocol):
    """Who grades single answers."""

    def grades(self, pairs: Sequence[tuple[Request, str]], folder: Path, *, progress: bool) -> Told:
        """Return the grade of each answer to a request."""


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

    def grades(self, pairs: Sequence[tuple[Request, str]], folder: Path, *, progress: bool) -> Told:
        """Return the grade of each answer, None where the judge gave none. Other answers may be asked about later."""
        questions = [(self.request(*pair), 0) for pair in pairs]
        told = heard(self.model, questions, folder / "judged.sqlite", progress=progress)
        read = [None if said is None else grade_in(said.text, self.low, self.high) for said in told.said]
        return Told(read, told.bill, told.again)


@dataclass(frozen=True)
class JudgeReward:
    """A reward as a judge of single answers: a small reward model, or any function.

    What it prefers may be weaker than what the student could: the weak teach the strong. No call is paid, and the same
    answer has the same grade, so nothing is stored.

    Attributes:
        reward: from the last user turn and answers to it to one number each, on a scale of its own.
    """

    reward: Reward

    def grades(self, pairs: Sequence[tuple[Request, str]], folder: Path, *, progress: bool) -> Told:
        """Return the reward of each answer; the answers to one question are scored together.

        Raises:
            ModelError: not a finite number for each answer.
        """
        asked_of: dict[str, list[str]] = {}
        for request, answer in pairs:
            asked_of.setdefault(request.prompt, []).append(answer)
        found: dict[tuple[str, str], float] = {}
        with Progress(len(asked_of), shown=progress, unit="rewards") as bar:
            for question, answers in asked_of.items():
                distinct = list(dict.fromkeys(answers))
                rewards = [float(one) for one in self.reward(question, distinct)]
                if len(rewards) != len(distinct) or not all(math.isfinite(one) for one in rewards):
                    raise ModelError(f"the reward gave {rewards!r} for {len(distinct)} answers")
                found.update({(question, answer): one for answer, one in zip(distinct, rewards, strict=True)})
                bar.add(1)
        return Told([found[request.prompt, answer] for request, answer in pairs])
