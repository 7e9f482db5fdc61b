"""How much of what is to be learnt from a row is learnt at once: rows that take long are the harder ones.

Source: Mekala et al. 2024 ("Smaller Language Models are capable of selecting Instruction-Tuning Training Data for
Larger Language Models"), equations 1 and 2: LP(i) = (P_{i-1} − P_i) / (P_0 − P_n), with P the perplexity of the answer
after an epoch; the approximation takes LP(1), and the rows with the lowest are the ones to train on.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.curate.reading.ifd import cut
from pilotfish.curate.reading.losses import Reading, reader_of
from pilotfish.curate.sift import Dropped
from pilotfish.errors import DataError
from pilotfish.rows._row import Rows
from pilotfish.rows.stage import Outcome, Reject, Stage

if TYPE_CHECKING:
    from pilotfish.models.reader import Reader

__all__ = ["LearningPercentage"]


class LearningPercentage(Stage):
    """Notes the share of an answer's fall in perplexity that the first epoch brought.

    Args:
        base: the model before it was tuned.
        early: after the first epoch.
        final: after the last one.
        instruction, answer, input: the columns, as for `IFD`.
        into: the column for it; a row whose perplexity did not fall by the end teaches nothing, and goes.
        settings: those of `Reading`, for all three.
    """

    batch_size = 256

    def __init__(
        self,
        base: Reader | str | Path,
        early: Reader | str | Path,
        final: Reader | str | Path,
        *,
        instruction: str = "instruction",
        answer: str = "output",
        input: str | None = "input",
        into: str = "learned",
        dtype: str = "auto",
        **settings: Any,
    ) -> None:
        self._readings = [Reading(reader_of(one, dtype), **settings) for one in (base, early, final)]
        self.instruction, self.answer, self.input, self.into = instruction, answer, input, into

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        return {**super().config(), "readings": [reading.config() for reading in self._readings]}

    def setup(self) -> None:
        """Load the three."""
        for reading in self._readings:
            reading.reader.load()

    def process(self, rows: Rows) -> list[Outcome]:
        """Return each row with its share, or why it goes."""
        found: list[Outcome] = [None] * len(rows)
        perplexities: dict[int, list[float]] = {}
        for reading in self._readings:
            asked, places = [], []
            for place, row in enumerate(rows):
                try:
                    question, answer = cut(reading.reader.tokenizer, row, self.instruction, self.answer, self.input)
                except DataError as error:
                    found[place] = Reject(str(error))
                    continue
                if not answer:
                    found[place] = Dropped(f"{self.into}.empty: the answer has no tokens")
                    continue
                asked.append(([*question, *answer], len(question)))
                places.append(place)
            for place, losses in zip(places, reading.losses(asked), strict=True):
                perplexities.setdefault(place, []).append(math.exp(min(700.0, float(np.mean(losses)))))
        for place, (base, early, final) in perplexities.items():
            if final >= base:
                why = f"{self.into}.none: perplexity went from {base:.4g} to {final:.4g}"
                found[place] = Dropped(why)
            else:
                found[place] = {**rows[place], self.into: (base - early) / (base - final)}
        return found
