"""Rows that a model still needs: those that it answers badly.

Source: Du et al. 2023 (MoDS), section 2.3: a model tuned on a seed answers the other instructions, a judge scores its
answers, and rows with a low score are the ones to add.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.judged._asking import Question, answers, graded, listed
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.grade import grader
from pilotfish.measure.judging import GRADE
from pilotfish.model import Model
from pilotfish.rows._row import Row

__all__ = ["Necessity"]


class Necessity(Barrier):
    """Has a model answer each row, notes 1 less how good that was, and keeps rows with much of it.

    Every answer is kept until the step is done: a run that is killed asks for none of them again.

    Args:
        model: who answers: the model to be trained, tuned on a seed of the rows.
        prompt: what it is asked, a template over the columns.
        judge: who grades the answers; None where `grade` says.
        grade: how answers are graded without a judge; see `measure.grade.grader`: "last-number", "unit-tests", …
        gold: the column of the right answer, for `grade`.
        least: rows go whose necessity is below; None keeps all.
        into: the column for it, from 0 (answered as well as can be) to 1.
        low, high: the judge's scale.
        max_tokens: of an answer.
        concurrency: calls at once; None goes by the model.

    Raises:
        ConfigError: settings that do not go together.
    """

    def __init__(
        self,
        model: Model,
        prompt: str,
        *,
        judge: Model | None = None,
        grade: str | None = None,
        gold: str | None = None,
        least: float | None = None,
        into: str = "necessity",
        low: float = 1,
        high: float = 10,
        max_tokens: int = 256,
        concurrency: int | None = None,
    ) -> None:
        if (judge is None) == (grade is None):
            raise ConfigError("answers are graded by a judge, or by what is right: give one")
        if not low < high:
            raise ConfigError(f"a scale goes up, not from {low:g} to {high:g}")
        if least is not None and not 0 <= least <= 1:
            raise ConfigError(f"necessity lies from 0 to 1, not {least:g}")
        self._question = Question(prompt)
        self._grade = None if grade is None else grader(grade, gold)
        self.model, self.prompt, self.judge, self.grade, self.gold = model, prompt, judge, grade, gold
        self.least, self.into, self.low, self.high, self.max_tokens = least, into, low, high, max_tokens
        self._concurrency = concurrency

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Ask, and have the answers graded."""
        columns = [*self._question.columns, *([self.gold] if self.gold is not None else [])]
        held = listed(rows, columns)
        questions = [self._question.of(row) for row in held]
        said = answers(
            self.model, questions, folder / "asked", max_tokens=self.max_tokens, concurrency=self._concurrency
        )
        if self.judge is not None:
            scale = {"low": f"{self.low:g}", "high": f"{self.high:g}"}
            asking = Question(GRADE, ("low", "high", "task", "answer"))
            judged = [
                None if one is None or question is None else asking.of({}, task=question, answer=one.text, **scale)
                for question, one in zip(questions, said, strict=True)
            ]
            told = answers(self.judge, judged, folder / "judged", max_tokens=200, concurrency=self._concurrency)
            found = [graded(one, self.low, self.high) for one in told]
            quality = [one if isinstance(one, str) else (one - self.low) / (self.high - self.low) for one in found]
        else:
            quality = [self._right(None if one is None else one.text, row) for one, row in zip(said, held, strict=True)]

        def decide(at: int, row: Row) -> Judged:
            good = quality[at]
            if questions[at] is None or isinstance(good, str):
                return Dropped(f"necessity.none: {'nothing to ask' if questions[at] is None else good}")
            value = 1 - min(1.0, max(0.0, good))
            if self.least is not None and value < self.least:
                return Dropped(f"necessity: {value:.4g} against at least {self.least:g}", columns={self.into: value})
            return {self.into: value}

        return decide

    def _right(self, said: str | None, row: Row) -> float | str:
        assert self._grade is not None
        if said is None:
            return "no answer"
        try:
            return self._grade(said, row)
        except DataError as error:
            return str(error)
