"""A small reward model: an encoder and one number over its vector, taught which of two answers people prefer.

Sources: Bradley and Terry 1952; Ouyang et al. 2022 (InstructGPT), equation 1: -log sigma(r(chosen) - r(rejected));
margins: Touvron et al. 2023 (Llama 2), equation 2; rewards kept about 0: Eisenstein et al. 2023, section 3.
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

__all__ = ["FIT", "Pair", "RewardModel", "Taught", "text_of"]


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, of which people prefer the first.

    Attributes:
        prompt: what was asked.
        chosen: the better answer.
        rejected: the other one.
        margin: by how much the reward of the better one is to be above, 0 or more.
    """

    prompt: str
    chosen: str
    rejected: str
    margin: float = 0.0


@dataclass(frozen=True)
class Taught:
    """What a reward model learnt from.

    Attributes:
        pairs: that it learnt from.
        held_out: pairs of other prompts, kept back.
        accuracy: how often it prefers as people do, on those; a tie counts half. None without any.
        by_length: how often the longer answer is preferred there: what a model that counts words would reach.
        steps: of the training.
    """

    pairs: int
    held_out: int
    accuracy: Interval | None
    by_length: Interval | None
    steps: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Taught:
        """Read what `to_json` gave."""
        ends = {name: None if told[name] is None else Interval(**told[name]) for name in ("accuracy", "by_length")}
        return cls(**{**told, **ends})

    def __str__(self) -> str:
        said = f"{self.pairs:,} pairs, {self.steps:,} steps"
        if self.accuracy is None:
            return said
        longer = f"; the longer answer is preferred {self.by_length:.3f}" if self.by_length is not None else ""
        return f"{said}; of {self.held_out:,} others it prefers as people do {self.accuracy:.3f}{longer}"


class RewardModel(Scorer):
    """Scores answers to a prompt: the higher the better; called as reward-guided search calls a reward.

    Args:
        encoder: what to start from, which may be a language model (`pilotfish.train.lm_encoder`). It stays as it is.
        how: how to train; with a rank by adapters.
        centre: how much the sum of a pair's two rewards is drawn towards 0, squared; Eisenstein et al. take .01.
        head_rate: how many times the encoder's learning rate the head's is.
        held_out: the share of prompts that is kept back to measure on.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.

    Attributes:
        encoder_: tuned.
        weight_, bias_: (dimension,) and one number: the head.
        report_: what it learnt from.

    Raises:
        ConfigError: a setting out of range.
    """

    what, file = "reward model", "reward.json"

    def __init__(
        self,
        encoder: Encoder,
        how: Fit = FIT,
        *,
        centre: float = 0.01,
        head_rate: float = 30.0,
        held_out: float = 0.1,
        folder: str | Path | None = None,
    ) -> None:
        super().__init__(encoder, how, head_rate, folder)
        if centre < 0 or not 0 <= held_out < 1:
            raise ConfigError(f"centre and held_out: not {centre} and {held_out}")
        self.centre, self.held_out = centre, held_out

    def fit(self, pairs: Sequence[Pair]) -> Self:
        """Learn from preferences; all pairs of one prompt are learnt from, or measured on.

        Raises:
            DataError: fewer than two pairs, or one whose answers are the same.
            ModelError: the loss is not finite.
        """
        for number, pair in enumerate(pairs, 1):
            if pair.chosen == pair.rejected:
                raise DataError(f"pair {number}: both answers are the same, which prefers none")
            if pair.margin < 0:
                raise DataError(f"pair {number}: a margin is 0 or more, not {pair.margin}")
        if len(pairs) < 2:
            raise DataError(f"a reward model needs at least two pairs; there are {len(pairs)}")
        held: NDArray[np.int64] = np.zeros(0, np.int64)
        if self.held_out and len({pair.prompt for pair in pairs}) > 1:
            parts = {"train": 1 - self.held_out, "test": self.held_out}
            held = np.asarray(split(len(pairs), parts, self.how.seed, group=[one.prompt for one in pairs])["test"])
        weights = np.ones(len(pairs))
        weights[held] = 0.0
        if not weights.any():
            raise DataError("all pairs are kept back: too few prompts")
        self._learn(pairs, weights)
        tested = [pairs[i] for i in held]
        accuracy = by_length = None
        if tested:
            better = self.scores([(pair.prompt, pair.chosen) for pair in tested])
            other = self.scores([(pair.prompt, pair.rejected) for pair in tested])
            accuracy = _preferred(better - other)
            by_length = _preferred(np.array([float(len(pair.chosen) - len(pair.rejected)) for pair in tested]))
        self.report_ = Taught(int(weights.sum()), len(tested), accuracy, by_length, self._steps)
        return self

    def _learn(self, pairs: Sequence[Pair], weights: NDArray[np.float64]) -> None:
        torch = need("torch", "train")
        device = self.encoder.load().model.device
        margins = torch.tensor([pair.margin for pair in pairs], dtype=torch.float32, device=device)

        def loss(rewards: Any, rows: Any) -> Any:
            return preference_loss(rewards[:, 0], rewards[:, 1], margins[rows], self.centre)

        texts = [(text_of(pair.prompt, pair.chosen), text_of(pair.prompt, pair.rejected)) for pair in pairs]
        self._steps = self._taught(texts, weights, loss, [self.centre, [pair.margin for pair in pairs]])

    def _report(self) -> dict[str, Any]:
        return self.report_.to_json()

    def _reported(self, told: dict[str, Any]) -> None:
        self.report_ = Taught.from_json(told)


def preference_loss(chosen: Any, rejected: Any, margin: Any, centre: float) -> Any:
    """Return (pairs,): -log sigma(chosen - rejected - margin), and `centre` times the squared sum of both."""
    torch = need("torch", "train")
    return -torch.nn.functional.logsigmoid(chosen - rejected - margin) + centre * (chosen + rejected).square()


def _preferred(gaps: NDArray[np.float64]) -> Interval:
    return wilson(float((gaps > 0).sum() + (gaps == 0).sum() / 2), len(gaps))
