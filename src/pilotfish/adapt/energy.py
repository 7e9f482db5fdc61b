"""A small model that tells which of a frozen model's answers suit a domain: an energy, taught by ranking.

Source: Sun et al. 2024 (BBox-Adapter: Lightweight Adapting for Black-Box Large Language Models), sections 3.2 and 3.3:
p(y | x) is the frozen model's times exp(g(x, y)), g is taught by ranking-based noise-contrastive estimation (Ma and
Collins 2018), and its squares are kept small (Du and Mordatch 2019). Neither weights nor probabilities of the frozen
model are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, wilson
from pilotfish.models.encoder import Encoder
from pilotfish.rows.split import split
from pilotfish.train.scorer import FIT, Scorer, text_of
from pilotfish.train.settings import Fit

__all__ = ["Energy", "EnergyReport", "Ranked", "nce_loss"]


@dataclass(frozen=True)
class Ranked:
    """A right answer to a prompt among wrong ones.

    Attributes:
        prompt: what was asked.
        right: the answer that suits the domain.
        wrong: answers of the frozen model that do not; one at least.
    """

    prompt: str
    right: str
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class EnergyReport:
    """What an energy learnt from.

    Attributes:
        rows: that it learnt from.
        held_out: rows of other prompts, kept back.
        first: how often the right answer is before all others there; None without any.
        chance: how often it would be by chance.
        steps: of the training.
    """

    rows: int
    held_out: int
    first: Interval | None
    chance: float | None
    steps: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> EnergyReport:
        """Read what `to_json` gave."""
        return cls(**{**told, "first": None if told["first"] is None else Interval(**told["first"])})

    def __str__(self) -> str:
        said = f"{self.rows:,} rows, {self.steps:,} steps"
        if self.first is None:
            return said
        first = f"the right answer is first in {self.first:.3f}, {self.chance:.3f} by chance"
        return f"{said}; of {self.held_out:,} others {first}"


class Energy(Scorer):
    """Scores answers to a prompt: the higher the better they suit the domain.

    Args:
        encoder: what to start from. It stays as it is.
        how: how to train; with a rank by adapters.
        square: how much the squares of scores count in the loss (the paper's alpha).
        head_rate: how many times the encoder's learning rate the head's is.
        held_out: the share of prompts that is kept back to measure on.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.

    Attributes:
        encoder_, weight_, bias_: see `Scorer`.
        report_: what it learnt from.

    Raises:
        ConfigError: a setting out of range.
    """

    what, file = "energy model", "energy.json"

    def __init__(
        self,
        encoder: Encoder,
        how: Fit = FIT,
        *,
        square: float = 0.01,
        head_rate: float = 30.0,
        held_out: float = 0.1,
        folder: str | Path | None = None,
    ) -> None:
        super().__init__(encoder, how, head_rate, folder)
        if square < 0 or not 0 <= held_out < 1:
            raise ConfigError(f"square and held_out: not {square} and {held_out}")
        self.square, self.held_out = square, held_out

    def fit(self, rows: Sequence[Ranked]) -> Self:
        """Learn which answers are right; all rows of one prompt are learnt from, or measured on.

        Raises:
            DataError: fewer than two rows, one without a wrong answer, or one whose right answer is among the wrong.
            ModelError: the loss is not finite.
        """
        if len(rows) < 2:
            raise DataError(f"an energy needs at least two rows; there are {len(rows)}")
        for number, row in enumerate(rows, 1):
            if not row.wrong:
                raise DataError(f"row {number}: there is no wrong answer beside the right one")
            if row.right in row.wrong:
                raise DataError(f"row {number}: its right answer stands among the wrong ones")
        held: NDArray[np.int64] = np.zeros(0, np.int64)
        if self.held_out and len({row.prompt for row in rows}) > 1:
            parts = {"train": 1 - self.held_out, "test": self.held_out}
            held = np.asarray(split(len(rows), parts, self.how.seed, group=[row.prompt for row in rows])["test"])
        weights = np.ones(len(rows))
        weights[held] = 0.0
        if not weights.any():
            raise DataError("all rows are kept back: too few prompts")
        steps = self._learn(rows, weights)
        tested = [rows[i] for i in held]
        first = chance = None
        if tested:
            first = wilson(sum(self._first(row) for row in tested), len(tested))
            chance = float(np.mean([1 / (1 + len(row.wrong)) for row in tested]))
        self.report_ = EnergyReport(int(weights.sum()), len(tested), first, chance, steps)
        return self

    def _first(self, row: Ranked) -> bool:
        right, *wrong = self(row.prompt, [row.right, *row.wrong])
        return right > max(wrong)

    def _learn(self, rows: Sequence[Ranked], weights: NDArray[np.float64]) -> int:
        torch = need("torch", "train")
        most = max(len(row.wrong) for row in rows)
        device = self.encoder.load().model.device
        counts = torch.tensor([len(row.wrong) for row in rows], device=device)

        def loss(scores: Any, numbers: Any) -> Any:
            return nce_loss(scores, counts[numbers], self.square)

        # A row with fewer wrong answers is filled up with its own, which the loss leaves out.
        filled = [(row.right, *row.wrong, *[row.wrong[0]] * (most - len(row.wrong))) for row in rows]
        texts = [tuple(text_of(row.prompt, answer) for answer in some) for row, some in zip(rows, filled, strict=True)]
        return self._taught(texts, weights, loss, [self.square, [len(row.wrong) for row in rows]])

    def _report(self) -> dict[str, Any]:
        return self.report_.to_json()

    def _reported(self, told: dict[str, Any]) -> None:
        self.report_ = EnergyReport.from_json(told)


def nce_loss(scores: Any, counts: Any, square: float) -> Any:
    """Return -log of the right answer's share of exp(score) among all, and `square` times the mean squared score.

    Args:
        scores: (rows, 1 + most): the right answer's first.
        counts: (rows,) how many wrong answers each row has; scores behind those count nothing.
        square: of the squares.

    Returns:
        (rows,) in nats.
    """
    torch = need("torch", "train")
    places = torch.arange(scores.shape[1], device=scores.device)
    there = places[None] <= counts[:, None]
    whole = scores.masked_fill(~there, -torch.inf)
    squares = torch.where(there, scores.square(), 0.0).sum(1) / there.sum(1)
    return torch.logsumexp(whole, 1) - scores[:, 0] + square * squares
