"""An encoder and one number over its vector: a score of an answer to a prompt, taught by any loss over groups of them.

Reward models learn pairs, energy models the right one among several, re-rankers one judgement at a time; how they are
trained, kept and asked is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError
from pilotfish.models._weights import identity_of
from pilotfish.models.encoder import Encoder
from pilotfish.train.encoding import ScaledHead, train
from pilotfish.train.folder import digest
from pilotfish.train.kept import FOLDER, HEAD, keep_encoder
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["FIT", "Scorer", "text_of"]

FORMAT = 1
FIT = Fit(epochs=3, batch_tokens=1024, rate=5e-5, decay=0.01, dtype="float32")


class Scorer:
    """Scores answers to a prompt: the higher the better; called as reward-guided search calls a reward.

    Args:
        encoder: what to start from, which may be a language model (`pilotfish.train.lm_encoder`). It stays as it is.
        how: how to train; with a rank by adapters.
        head_rate: how many times the encoder's learning rate the head's is.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.

    Attributes:
        what: what it is, in words; `file`: what holds its facts.
        encoder_: tuned.
        weight_, bias_: (dimension,) and one number: the head.
    """

    what: ClassVar[str]
    file: ClassVar[str]
    encoder_: Encoder
    weight_: NDArray[np.float32]
    bias_: float

    def __init__(self, encoder: Encoder, how: Fit, head_rate: float, folder: str | Path | None) -> None:
        if not head_rate > 0:
            raise ConfigError(f"head_rate is above 0, not {head_rate}")
        self.encoder, self.how, self.head_rate, self.folder = encoder, how, head_rate, folder

    def _taught(
        self,
        groups: Sequence[tuple[str, ...]],
        weights: NDArray[np.float64],
        loss: Callable[[Any, Any], Any],
        facts: Sequence[Any],
        first: float = 0.0,
    ) -> int:
        """Learn from groups of texts by a loss; return the steps.

        Args:
            groups: as many texts each.
            weights: (groups,) what each counts; 0 is not learnt from.
            loss: from the scores (rows, texts of a group) and the rows' numbers to (rows,).
            facts: what else decides the result.
            first: the head's first bias.
        """
        encoder = self.encoder.load().copied()
        head = ScaledHead(encoder.dimension, 1, self.head_rate, self.how.seed, np.array([first]))

        def summed(scores: Any, rows: Any, counted: Any) -> Any:
            # Of groups of one text the outputs come without the groups' axis.
            return (loss(scores.view(len(rows), -1), rows) * counted).sum()

        told = [asdict(self.how), *facts, self.head_rate, first, identity_of(encoder.weights), weights.tolist()]
        identity = digest(told, [text for group in groups for text in group])
        folder = None if self.folder is None else Path(self.folder) / identity[:16]
        fitted = train(encoder, head.module, groups, weights, summed, self.how, folder, identity)
        encoder.model.eval()
        self.encoder_ = encoder
        coef, bias = head.weights()
        self.weight_, self.bias_ = np.ascontiguousarray(coef[0]), float(bias[0])
        return fitted.steps

    @property
    def identity(self) -> str:
        """What tells its scores from another scorer's: the encoder that it was tuned to, and the head over it."""
        told = f"{identity_of(self.encoder_.weights)} {self.bias_}"
        return hashlib.sha256(told.encode() + self.weight_.tobytes()).hexdigest()

    def __call__(self, prompt: str, answers: Sequence[str]) -> list[float]:
        """Return the score of each answer to a prompt."""
        found: list[float] = self.scores([(prompt, answer) for answer in answers]).tolist()
        return found

    def scores(self, asked: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Return the score of each (prompt, answer): (pairs,)."""
        if not asked:
            return np.zeros(0)
        vectors = self.encoder_.encode([self._text(prompt, answer) for prompt, answer in asked])
        return np.asarray(vectors.astype(np.float64) @ self.weight_.astype(np.float64) + self.bias_)

    def _text(self, prompt: str, answer: str) -> str:
        """Return what is read."""
        return text_of(prompt, answer)

    def _report(self) -> dict[str, Any]:
        """Return what it learnt from, as plain data."""
        raise NotImplementedError

    def _reported(self, told: dict[str, Any]) -> None:
        """Take what `_report` gave."""
        raise NotImplementedError

    def save(self, folder: str | Path) -> None:
        """Write the encoder, the head, and what it learnt; the file of facts goes first and comes last."""
        arrays = {"weight": self.weight_, "bias": np.array([self.bias_], np.float32)}
        keep_encoder(folder, self.file, self.encoder_, {"format": FORMAT, "report": self._report()}, arrays)

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> Self:
        """Read what `save` wrote; the encoder's weights load at the first use.

        Raises:
            ModelError: the folder holds none, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, cls.what):
            told = facts_in(folder / cls.file, cls.what, FORMAT)
            arrays = need("safetensors.numpy", "local").load_file(folder / HEAD)
            made = cls(Encoder(folder / FOLDER, name=told["name"], catalog=catalog))  # type: ignore[call-arg]
            made.weight_, made.bias_ = arrays["weight"], float(arrays["bias"][0])
            made._reported(told["report"])
        made.encoder_ = made.encoder
        return made


def text_of(prompt: str, answer: str) -> str:
    """Return what a scorer reads."""
    return f"{prompt}\n\n{answer}"
