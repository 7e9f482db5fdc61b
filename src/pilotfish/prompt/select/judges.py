"""What an instruction is worth on rows: how good a model's answers are, or how likely the right ones."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.grade import Grade
from pilotfish.model import Request
from pilotfish.models.calls import Calls, Failure
from pilotfish.prompt.demonstrate.feedback import Judge
from pilotfish.prompt.select.instructed import placed
from pilotfish.rows.asking import Bill
from pilotfish.rows.model_stage import Template

__all__ = ["ByGrade", "ByLikelihood", "PromptJudge"]

Floats = NDArray[np.float64]
Row = Mapping[str, Any]


class PromptJudge(Protocol):
    """Says what instructions are worth on rows."""

    async def scores(self, prompts: Sequence[str], places: Sequence[int]) -> Floats:
        """Return (prompts, places): the larger the better; NaN where there is no answer yet that may still come.

        Args:
            prompts: the instructions.
            places: of the rows.
        """

    @property
    def bill(self) -> Bill:
        """What it took so far, earlier sessions included."""


class ByGrade:
    """Grades the answers of a model. Each is asked for, and paid for, once; the calls' budget is the hard stop.

    An answer that the model cannot give (the prompt is too long, say) has the grade 0; one that the endpoint failed to
    give, or that the budget did not allow, is NaN.

    Args:
        calls: of the model.
        rows: what is asked about.
        prompt: the user's turn, a template over the columns.
        grade: says how good a reply is.
        template: where the instruction stands; see `Instructed`.
        settings: of the requests, as max_tokens.
        progress: show a bar.
    """

    def __init__(
        self,
        calls: Calls,
        rows: Sequence[Row],
        prompt: str,
        grade: Grade,
        *,
        template: str | None = None,
        settings: Mapping[str, Any] | None = None,
        progress: bool = False,
    ) -> None:
        self.calls, self.rows, self.grade, self.template = calls, rows, grade, template
        self.prompt, self.progress = Template(prompt), progress
        self.settings: dict[str, Any] = {"temperature": 0.0, **(settings or {})}

    async def scores(self, prompts: Sequence[str], places: Sequence[int]) -> Floats:
        """See `PromptJudge`."""
        asked = [self._request(prompt, self.rows[place]) for prompt in prompts for place in places]
        replies = await self.calls.replies(asked, progress=self.progress)
        found = np.full(len(asked), np.nan)
        rows = [self.rows[place] for _ in prompts for place in places]
        for at, (reply, row) in enumerate(zip(replies, rows, strict=True)):
            if not isinstance(reply, Failure):
                found[at] = await asyncio.to_thread(self.grade, reply.text, row)
            elif not reply.again:
                found[at] = 0.0
        return found.reshape(len(prompts), len(places))

    @property
    def bill(self) -> Bill:
        """See `PromptJudge`."""
        return self.calls.bill

    def _request(self, prompt: str, row: Row) -> Request:
        return placed(prompt, self.template, Request.of(self.prompt.fill(row), **self.settings))


class ByLikelihood:
    """The probability of the right answer by a local model: `by_choices` over some answers, or `by_reading` of a text.

    No call is paid; what was read is kept, so that a run that goes on reads it no more.

    Args:
        judge: gives log p(answer | request), as `pilotfish.prompt.demonstrate.by_choices`.
        rows: what is asked about.
        prompt: the user's turn, a template over the columns.
        gold: the column of the right answer.
        path: a file of what was read.
        identity: what tells this judge from another, whose figures are not this one's.
        template: where the instruction stands; see `Instructed`.
        log: scores are log-probabilities; False for probabilities, which differ most where they decide.
    """

    def __init__(
        self,
        judge: Judge,
        rows: Sequence[Row],
        prompt: str,
        gold: str,
        path: str | Path,
        identity: str,
        *,
        template: str | None = None,
        log: bool = False,
    ) -> None:
        self.judge, self.rows, self.gold, self.template, self.log = judge, rows, gold, template, log
        self.prompt, self.path, self.identity = Template(prompt), Path(path), identity
        self._known: dict[str, float | None] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                if line.endswith("}"):  # the last line of a run that was killed may be half a line
                    told = json.loads(line)
                    self._known[told["key"]] = told["logprob"]

    async def scores(self, prompts: Sequence[str], places: Sequence[int]) -> Floats:
        """See `PromptJudge`. A prompt that has no room in the model is worth nothing."""
        asked = [self._asked(prompt, self.rows[place]) for prompt in prompts for place in places]
        keys = [self._key(request, gold) for request, gold in asked]
        new = {key: one for key, one in zip(keys, asked, strict=True) if key not in self._known}
        if new:
            told = await asyncio.to_thread(self.judge, list(new.values()))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                for key, value in zip(new, told.tolist(), strict=True):
                    self._known[key] = None if np.isnan(value) else value
                    file.write(json.dumps({"key": key, "logprob": self._known[key]}) + "\n")
        found = np.array([-np.inf if (value := self._known[key]) is None else value for key in keys], np.float64)
        found = np.maximum(found, -100.0) if self.log else np.exp(found)
        return found.reshape(len(prompts), len(places))

    @property
    def bill(self) -> Bill:
        """See `PromptJudge`: nothing is paid."""
        return Bill()

    def _key(self, request: Request, gold: str) -> str:
        told = json.dumps([self.identity, request.key(), gold])
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    def _asked(self, prompt: str, row: Row) -> tuple[Request, str]:
        gold = row.get(self.gold)
        if not isinstance(gold, str) or not gold:
            raise DataError(f"no right answer: nothing in {self.gold!r}")
        return placed(prompt, self.template, Request.of(self.prompt.fill(row))), gold
