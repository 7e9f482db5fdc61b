"""Rows whose texts are made shorter: a stage for the row runner."""

from __future__ import annotations

from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.prompt.compress.compressor import Compressor
from pilotfish.rows._row import Row
from pilotfish.rows.stage import RowStage

__all__ = ["Shortened"]


class Shortened(RowStage):
    """Adds what is left of each row's text, and its figures.

    Args:
        compressor: makes texts shorter.
        budget: of each text.
        rate: instead of a budget.
        text: the column.
        question: of each row: a column; None for the same one.
        asked: that same question; "" for none.
        into: the column of the result; its spans, which lead back to the original, and lengths before and after come
            into `{into}_spans`, `{into}_before` and `{into}_after`.
        told: what else decides the result, as plain data: settings of models that do not tell themselves.

    Raises:
        ConfigError: neither or both of budget and rate.
    """

    def __init__(
        self,
        compressor: Compressor,
        *,
        budget: int | None = None,
        rate: float | None = None,
        text: str = "text",
        question: str | None = None,
        asked: str = "",
        into: str = "compressed",
        told: dict[str, Any] | None = None,
    ) -> None:
        if (budget is None) == (rate is None):
            raise ConfigError("give a budget or a rate")
        self.compressor, self.budget, self.rate = compressor, budget, rate
        self.text, self.question, self.asked, self.into = text, question, asked, into
        self.told = told or {}

    def each(self, row: Row) -> Row:
        """Return the row with its text made shorter.

        Raises:
            DataError: no text, or no question, in a column that is to hold one.
        """
        for column in (self.text, *([self.question] if self.question is not None else [])):
            if not isinstance(row.get(column), str):
                raise DataError(f"no text in {column!r}")
        asked = row[self.question] if self.question is not None else self.asked
        found = self.compressor.text(row[self.text], budget=self.budget, rate=self.rate, question=asked)
        return row | {
            self.into: found.text,
            f"{self.into}_spans": [list(span) for span in found.spans],
            f"{self.into}_before": found.before,
            f"{self.into}_after": found.after,
        }
