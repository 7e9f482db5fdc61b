"""A score as the mean of a scale under a model's probabilities.

Source: Liu et al. 2024 (DEITA), sections 2.2 and 2.3: scorers of complexity and of quality are small language models
that were taught to say a number from 1 to 6 after a prompt; the score is Σ s · softmax(logits)ₛ over those numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.curate.judged._asking import Question
from pilotfish.curate.sift import Dropped
from pilotfish.errors import ConfigError
from pilotfish.measure.judging import shares_of
from pilotfish.model import Request
from pilotfish.models.local import LocalModel
from pilotfish.rows._row import Row, Rows
from pilotfish.rows.stage import Outcome, Stage

__all__ = ["Expected"]


class Expected(Stage):
    """Notes each row's expected score, and keeps those within bounds.

    Args:
        model: a scorer: a model on this machine, or its weights.
        prompt: a template over the columns, as the scorer was taught with.
        low, high: whole numbers, the ends of its scale.
        chat: put the prompt into the model's chat template; False where it was taught without one.
        into: the column for the score.
        least: scores below go; None keeps all.

    Raises:
        ConfigError: a prompt without columns, or a scale that is none.
    """

    batch_size = 128

    def __init__(
        self,
        model: LocalModel | str | Path,
        prompt: str,
        *,
        low: int = 1,
        high: int = 6,
        chat: bool = False,
        into: str = "score",
        least: float | None = None,
    ) -> None:
        if not low < high or high - low > 100:
            raise ConfigError(f"a scale goes up by whole numbers, a hundred at most, not from {low} to {high}")
        self._question = Question(prompt)
        self._model = model if isinstance(model, LocalModel) else LocalModel(model)
        self.prompt, self.low, self.high, self.chat, self.into, self.least = prompt, low, high, chat, into, least

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        return {**super().config(), "model": self._model.identity}

    def setup(self) -> None:
        """Load the scorer."""
        self._model.load()

    def process(self, rows: Rows) -> list[Outcome]:
        """Return each row with its score, or why it goes."""
        questions = [self._question.of(row) for row in rows]
        asked = [place for place, question in enumerate(questions) if question is not None]
        contexts = [self._context(questions[place] or "") for place in asked]
        scale = list(range(self.low, self.high + 1))
        found: list[Outcome] = [Dropped(f"{self.into}.none: nothing to score") for _ in rows]
        if not contexts:
            return found
        logprobs = self._model.choices(contexts, [str(one) for one in scale])
        values = shares_of(logprobs) @ np.array(scale, dtype=np.float64)
        for place, value in zip(asked, values.tolist(), strict=True):
            found[place] = self._judged(rows[place], value)
        return found

    def _context(self, question: str) -> str:
        return self._model.render(Request.of(question)) if self.chat else question

    def _judged(self, row: Row, value: float) -> Outcome:
        if self.least is not None and value < self.least:
            return Dropped(f"{self.into}: {value:.4g} against at least {self.least:g}", columns={self.into: value})
        return {**row, self.into: value}
