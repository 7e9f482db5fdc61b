"""Rows that hold nothing of test sets: a synthesised set is for training, and its model is measured on those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.rows._row import Row
from pilotfish.rows.decontaminate import decontaminate
from pilotfish.synthesize.keep._text import text_of
from pilotfish.synthesize.recipe import Check, Made, Prompt

__all__ = ["Clean"]


class Clean(Check):
    """Keeps the rows that share no n-gram with a test row, and are near none; see `pilotfish.rows.decontaminate`.

    Args:
        tests: name -> texts of a test set.
        columns: what is looked at of a row; None for all columns.
        ngram: words an n-gram.
        threshold: the Jaccard similarity from which on two texts are near; None does not look for that.
    """

    name = "contaminated"

    def __init__(
        self,
        tests: Mapping[str, Sequence[str]],
        columns: Sequence[str] | None = None,
        *,
        ngram: int = 13,
        threshold: float | None = 0.8,
    ) -> None:
        if not tests or not all(tests.values()):
            raise ConfigError("a check for contamination needs test sets with texts")
        self.columns, self.ngram, self.threshold = None if columns is None else list(columns), ngram, threshold
        self._tests = {name: list(texts) for name, texts in tests.items()}

    async def reasons(self, rows: Sequence[Row], prompts: Sequence[Prompt], made: Made) -> Sequence[str | None]:
        """See `Check`."""
        texts = [text_of(row, self.columns) for row in rows]
        found = decontaminate(texts, self._tests, ngram=self.ngram, threshold=self.threshold, seed=made.seed).first
        return [found[i].reason.removeprefix("contaminated: ") if i in found else None for i in range(len(rows))]

    def config(self) -> dict[str, Any]:
        """Return the settings; of the test sets, their sizes."""
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {**told, "tests": {name: len(texts) for name, texts in self._tests.items()}}
