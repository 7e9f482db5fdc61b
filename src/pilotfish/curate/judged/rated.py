"""Rows rated by a large model.

Source: Chen et al. 2024 (AlpaGasus), section 3: a model rates each (instruction, input, response) from 0 to 5, and rows
of 4.5 and more are kept. An answer without a rating is none, and never a middling one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.judged._asking import Question, answers, graded
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError
from pilotfish.model import Model
from pilotfish.rows._row import Row

__all__ = ["ACCURACY", "Rated"]

ACCURACY = """Below are an instruction, perhaps with an input, and a response. How accurate and useful is the response?

Instruction: {instruction}

Input: {input}

Response: {output}

Say in a sentence what is right and what is wrong with the response, then end with a line of the form "Grade: N", \
where N is a number from 0 (wrong or useless) to 5 (nothing to be bettered)."""


class Rated(Barrier):
    """Has a model rate each row, and keeps those that are rated well enough.

    Every answer is kept until the step is done: a run that is killed asks for none of them again.

    Args:
        model: who rates: any model.
        prompt: a template over the columns; the reply must end with "Grade: N".
        low, high: the scale.
        least: the lowest rating that is kept; None keeps all that have one.
        into: the column for the rating.
        max_tokens: of a reply.
        concurrency: calls at once; None goes by the model.

    Raises:
        ConfigError: a prompt without columns, or a scale that is none.
    """

    def __init__(
        self,
        model: Model,
        prompt: str = ACCURACY,
        *,
        low: float = 0,
        high: float = 5,
        least: float | None = None,
        into: str = "rating",
        max_tokens: int = 200,
        concurrency: int | None = None,
    ) -> None:
        if not low < high or (least is not None and not low <= least <= high):
            raise ConfigError(f"a scale goes up, and the least rating is on it: not {least} of {low:g} to {high:g}")
        self._question = Question(prompt)
        self.model, self.prompt, self.low, self.high = model, prompt, low, high
        self.least, self.into, self.max_tokens = least, into, max_tokens
        self._concurrency = concurrency

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Ask about every row."""
        questions = [self._question.of(row) for row in rows]
        said = answers(
            self.model, questions, folder / "asked", max_tokens=self.max_tokens, concurrency=self._concurrency
        )
        found = [graded(one, self.low, self.high) for one in said]

        def decide(at: int, row: Row) -> Judged:
            if questions[at] is None:
                return Dropped("rated.none: nothing to rate")
            value = found[at]
            if isinstance(value, str):
                return Dropped(f"rated.none: {value}")
            if self.least is not None and value < self.least:
                return Dropped(f"rated: {value:g} against at least {self.least:g}", columns={self.into: value})
            return {self.into: value}

        return decide
