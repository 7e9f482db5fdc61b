"""Rows graded by a judge, a small model as a rule: what it finds poor goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.measure.judging import filled_in, grade_in
from pilotfish.model import Model, Request
from pilotfish.models.calls import Budget, Calls, Failure
from pilotfish.rows._json import plain
from pilotfish.rows._row import Row
from pilotfish.synthesize.recipe import Check, Made, Prompt

__all__ = ["GRADE", "Graded"]

GRADE = """You grade rows of a training set. Read what was asked for and the row. Say in a sentence what is right and \
what is wrong with it, then end with a line of the form "Grade: N", where N is a number from {low} (useless) to {high} \
(perfect).

Asked for: {task}

Row: {row}"""


class Graded(Check):
    """Keeps the rows that a judge grades well enough.

    Args:
        judge: who grades.
        path: the file for the judge's calls.
        least: the lowest grade that is kept.
        low, high: the scale.
        prompt: what is asked, with the places `{task}` and `{row}`; `{low}` and `{high}` are filled in too.
        budget: for all of the judge's calls.
        max_tokens: of its answer.
        concurrency: calls under way at once.
    """

    name = "graded low"

    def __init__(
        self,
        judge: Model,
        path: str | Path,
        *,
        least: float = 7,
        low: float = 1,
        high: float = 10,
        prompt: str = GRADE,
        budget: Budget | None = None,
        max_tokens: int = 256,
        concurrency: int | None = None,
    ) -> None:
        if not low < high or not low <= least <= high:
            raise ConfigError(f"a scale goes up, and the least grade is on it: not {least} of {low} to {high}")
        for place in ("{task}", "{row}"):
            if place not in prompt:
                raise ConfigError(f"the judge's prompt needs the place {place}")
        self.least, self.low, self.high, self.prompt, self.max_tokens = least, low, high, prompt, max_tokens
        self._calls = Calls(judge, path, budget=budget, concurrency=concurrency)

    async def reasons(self, rows: Sequence[Row], prompts: Sequence[Prompt], made: Made) -> Sequence[str | None]:
        """See `Check`; a row that the judge gives no grade is not kept."""
        requests = [self._request(row, prompt) for row, prompt in zip(rows, prompts, strict=True)]
        replies = await self._calls.replies(requests, progress=False)
        found: list[str | None] = []
        for reply in replies:
            if isinstance(reply, Failure):
                found.append(f"no grade: {reply.reason}")
                continue
            grade = grade_in(reply.text, self.low, self.high)
            said = "no grade in the judge's answer" if grade is None else f"{grade:g} of {self.high:g}"
            found.append(None if grade is not None and grade >= self.least else said)
        return found

    def _request(self, row: Row, prompt: Prompt) -> Request:
        text = filled_in(
            self.prompt,
            low=f"{self.low:g}",
            high=f"{self.high:g}",
            task=prompt.request.prompt,
            row=json.dumps(row, ensure_ascii=False, default=plain),
        )
        return Request.of(text, temperature=0.0, max_tokens=self.max_tokens)

    def config(self) -> dict[str, Any]:
        """Return the settings."""
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {**told, "judge": self._calls.model.name}

    def close(self) -> None:
        """Close the store of the judge's calls."""
        self._calls.close()
