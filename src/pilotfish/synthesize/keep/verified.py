"""Rows held to what can be checked: a pattern, a JSON schema, code that runs, a function of the user's own."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any

from pilotfish.measure.checks import Accept, ByFunction, CodeRuns, FitsSchema, Matches
from pilotfish.model import Reply, Request
from pilotfish.rows._describe import describe
from pilotfish.rows._json import plain
from pilotfish.rows._row import Row
from pilotfish.synthesize.recipe import Check, Made, Prompt

__all__ = ["Verified"]


class Verified(Check):
    """Keeps the rows of which a column passes a check of replies.

    Args:
        check: what it has to pass; a function of the user's gets the request that the row was made by, and a reply
            whose text is the column.
        column: which; None for the whole row as JSON.
    """

    name = "not verified"

    def __init__(self, check: Accept, column: str | None = None) -> None:
        self.check, self.column = check, column

    async def reasons(self, rows: Sequence[Row], prompts: Sequence[Prompt], made: Made) -> Sequence[str | None]:
        """See `Check`."""
        return [await self._reason(row, prompt.request) for row, prompt in zip(rows, prompts, strict=True)]

    async def _reason(self, row: Row, request: Request) -> str | None:
        value = row if self.column is None else row.get(self.column)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=plain)
        found: Any = self.check(request, Reply(text))
        verdict = await found if inspect.isawaitable(found) else found
        return None if verdict.accepted else f"{self.column or 'the row'}: {self._asked() or verdict.why}"

    def _asked(self) -> str:
        if isinstance(self.check, Matches):
            return f"no match of {self.check.pattern!r}"
        if isinstance(self.check, FitsSchema):
            return "not by the schema"
        if isinstance(self.check, ByFunction):
            return f"{self.check.path} says no"
        return "the code fails" if isinstance(self.check, CodeRuns) else ""

    def config(self) -> dict[str, Any]:
        """Return the settings."""
        return {
            "column": self.column,
            "check": type(self.check).__name__,
            "asked": self._asked() or describe(self.check),
        }
