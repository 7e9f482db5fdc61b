"""Instruction-following difficulty: how little an instruction helps a model to say its answer.

Sources: Li et al. 2024 (Cherry LLM), section 2.2: IFD(Q, A) = s(A | Q) / s(A); Li et al. 2024 (Superfiltering),
section 3: both as perplexities, and a small model ranks as a large one does. 1 and more says that the instruction is
no help at all: such rows are mostly mistakes, so they go; of the others the highest are the most worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from pilotfish.curate.reading.losses import Reading
from pilotfish.curate.sift import Dropped
from pilotfish.errors import ConfigError, DataError
from pilotfish.models._tokens import encode
from pilotfish.rows._row import Row, Rows
from pilotfish.rows.stage import Outcome, Reject, Stage

if TYPE_CHECKING:
    from pilotfish.models.reader import Reader

__all__ = ["IFD", "Counted", "cut"]

Counted = Literal["same", "published"]


class IFD(Stage):
    """Notes each row's IFD, and keeps those below a bound.

    The answer is cut into tokens once, so both passes are over the very same ones. Where a model has no token that
    texts begin with, the answer's first token has nothing before it when the answer stands alone, and it is counted in
    neither pass; the published code counts it in the pass with the instruction alone (`counted = "published"`, which
    gives its scores).

    Args:
        reader: whose: a `Reader`, or weights; see `Reading`.
        instruction: the column of the instruction.
        answer: the column of the answer.
        input: a column of further input to the instruction, which may be empty; None for none.
        into: the column for it; `{into}_given` and `{into}_alone` have the two losses, in nats a token.
        most: IFDs of this or more go; None keeps all.
        counted: see above.
        settings: those of `Reading`.

    Raises:
        ConfigError: a setting is out of range.
    """

    batch_size = 512
    measure = None

    def __init__(
        self,
        reader: Reader | str | Path,
        *,
        instruction: str = "instruction",
        answer: str = "output",
        input: str | None = "input",
        into: str = "ifd",
        most: float | None = 1.0,
        counted: Counted = "same",
        **settings: Any,
    ) -> None:
        if counted not in get_args(Counted):
            raise ConfigError(f"tokens are counted {' or '.join(get_args(Counted))}, not {counted!r}")
        self._reading = Reading(reader, **settings)
        self.instruction, self.answer, self.input, self.into = instruction, answer, input, into
        self.most, self.counted = most, counted

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        return {**super().config(), **self._reading.config()}

    def setup(self) -> None:
        """Load the reader."""
        self._reading.reader.load()

    def process(self, rows: Rows) -> list[Outcome]:
        """Return each row with its IFD, or why it goes."""
        self._reading.reader.load()
        found: list[Outcome] = [None] * len(rows)
        pairs: list[tuple[int, list[int], list[int]]] = []
        for at, row in enumerate(rows):
            try:
                question, answer = cut(self._reading.reader.tokenizer, row, self.instruction, self.answer, self.input)
            except DataError as error:
                found[at] = Reject(str(error))
                continue
            if len(answer) < (1 if self._starts else 2):
                found[at] = Dropped(f"{self.into}.empty: the answer has {len(answer)} tokens: too few to compare")
            else:
                pairs.append((at, question, answer))
        asked = [([*question, *answer], len(question)) for _, question, answer in pairs]
        start = self._starts
        asked += [([*start, *answer], 1) for _, _, answer in pairs]
        losses = self._reading.losses(asked)
        for (at, _, _), given, alone in zip(pairs, losses[: len(pairs)], losses[len(pairs) :], strict=True):
            same = given if self.counted == "published" else given[len(given) - len(alone) :]
            found[at] = self._judged(rows[at], float(np.mean(same, dtype=np.float64)), float(np.mean(alone)))
        return found

    @property
    def _starts(self) -> list[int]:
        """The token that a text begins with, where the model was taught with one."""
        first = encode(self._reading.reader.tokenizer, "")
        return first[:1]

    def _judged(self, row: Row, given: float, alone: float) -> Outcome:
        value = math.exp(min(700.0, given - alone))
        found = {self.into: value, f"{self.into}_given": given, f"{self.into}_alone": alone}
        if self.most is not None and value >= self.most:
            return Dropped(f"{self.into}: {value:.4g} against less than {self.most:g}", columns=found)
        return {**row, **found}


def cut(
    tokenizer: Any, row: Mapping[str, Any], instruction: str, answer: str, input: str | None
) -> tuple[list[int], list[int]]:
    """Return the tokens of what is asked and of the answer, each cut by itself.

    Raises:
        DataError: a column is missing or no text, or there is no instruction.
    """
    told = _text(row, instruction)
    given = _text(row, input) if input is not None and row.get(input) else ""
    if not told.strip():
        raise DataError(f"no instruction: {instruction!r} is empty")
    asked = encode(tokenizer, f"{told}\n{given}\n" if given else f"{told}\n")
    said = tokenizer(_text(row, answer), add_special_tokens=False, verbose=False)["input_ids"]
    return asked, [int(one) for one in said]


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str):
        raise DataError(f"no text: {column!r} is {'missing' if column not in row else type(value).__name__}")
    return value
