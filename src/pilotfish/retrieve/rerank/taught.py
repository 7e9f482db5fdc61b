"""A small cross-encoder taught here: an encoder that reads query and passage together, and one number over its vector.

Source: Nogueira and Cho 2019 (Passage Re-ranking with BERT), section 2, equation 1: cross-entropy of each pair's label.
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
from pilotfish.measure.curve import area
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.models.encoder import Encoder
from pilotfish.retrieve.rerank.reranked import Relevance
from pilotfish.rows.split import split
from pilotfish.train.scorer import Scorer
from pilotfish.train.settings import Fit

__all__ = ["FILE", "Judgement", "Learnt", "TaughtReranker"]

FILE = "reranker.json"
FIT = Fit(epochs=2, batch_tokens=2048, rate=5e-5, decay=0.01, dtype="float32")


@dataclass(frozen=True)
class Judgement:
    """How relevant a passage is to a query.

    Attributes:
        query: what was asked.
        passage: what was found, its title before its text.
        relevant: 1 where it answers, 0 where it does not, or between.
    """

    query: str
    passage: str
    relevant: float


@dataclass(frozen=True)
class Learnt:
    """What a re-ranker learnt from.

    Attributes:
        judgements: that it learnt from.
        held_out: queries that were kept back and have passages of both kinds.
        ordered: of these, how often a relevant passage is above one that is not, the mean over queries (the area under
            each one's ROC curve); None without any.
        steps: of the training.
    """

    judgements: int
    held_out: int
    ordered: Interval | None
    steps: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Learnt:
        """Read what `to_json` gave."""
        return cls(**{**told, "ordered": None if told["ordered"] is None else Interval(**told["ordered"])})

    def __str__(self) -> str:
        said = f"{self.judgements:,} judgements, {self.steps:,} steps"
        return f"{said}; of {self.held_out:,} other queries {self.ordered:.3f} in order" if self.ordered else said


class TaughtReranker(Scorer):
    """Reads query and passage as one text, a separator between them, and tells how relevant the passage is.

    Args:
        encoder: what to start from. It stays as it is.
        how: how to train.
        head_rate: how many times the encoder's learning rate the head's is.
        held_out: the share of queries that is kept back to measure on.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.
        name: in reports; one that was loaded has the common one.

    Attributes:
        encoder_, weight_, bias_: see `Scorer`.
        report_: what it learnt from.

    Raises:
        ConfigError: a setting out of range.
    """

    what, file = "re-ranker", FILE

    def __init__(
        self,
        encoder: Encoder,
        how: Fit = FIT,
        *,
        head_rate: float = 30.0,
        held_out: float = 0.1,
        folder: str | Path | None = None,
        name: str = "taught re-ranker",
    ) -> None:
        if not head_rate > 0 or not 0 <= held_out < 1:
            raise ConfigError(f"head_rate is above 0 and held_out a share, not {head_rate} and {held_out}")
        super().__init__(encoder, how, head_rate, folder)
        self.held_out, self.name = held_out, name

    def fit(self, judgements: Sequence[Judgement]) -> Self:
        """Learn from judgements; all of one query are learnt from, or measured on.

        Raises:
            DataError: labels outside 0 to 1, or all alike.
            ModelError: the loss is not finite.
        """
        for number, one in enumerate(judgements, 1):
            if not 0 <= one.relevant <= 1:
                raise DataError(f"judgement {number}: relevant is 0 to 1, not {one.relevant}")
        held: NDArray[np.int64] = np.zeros(0, np.int64)
        if self.held_out and len({one.query for one in judgements}) > 1:
            parts = {"train": 1 - self.held_out, "test": self.held_out}
            apart = split(len(judgements), parts, self.how.seed, group=[one.query for one in judgements])
            held = np.asarray(apart["test"])
        weights = np.ones(len(judgements))
        weights[held] = 0.0
        labels = np.array([one.relevant for one in judgements], np.float64)
        if len(set(labels[weights > 0].tolist())) < 2:
            raise DataError(f"a re-ranker learns from passages of both kinds; all of {int(weights.sum())} are alike")
        self._learn(judgements, labels, weights)
        areas = self._areas([judgements[place] for place in held])
        ordered = bootstrap(areas, seed=self.how.seed) if areas else None
        self.report_ = Learnt(int(weights.sum()), len(areas), ordered, self._steps)
        return self

    def _learn(
        self, judgements: Sequence[Judgement], labels: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> None:
        torch = need("torch", "train")
        share = float(np.clip(labels[weights > 0].mean(), 0.01, 0.99))
        wanted = torch.tensor(labels, dtype=torch.float32, device=self.encoder.load().model.device)

        def loss(scores: Any, rows: Any) -> Any:
            return torch.nn.functional.binary_cross_entropy_with_logits(scores[:, 0], wanted[rows], reduction="none")

        texts = [(text_of(self.encoder, one.query, one.passage),) for one in judgements]
        first = float(np.log(share / (1 - share)))
        self._steps = self._taught(texts, weights, loss, [labels.tolist()], first)

    def _areas(self, held: Sequence[Judgement]) -> list[float]:
        """Return for each query with passages of both kinds how often a relevant one is above another."""
        if not held:
            return []
        scores = self.scores([(one.query, one.passage) for one in held])
        queries = np.unique([one.query for one in held], return_inverse=True)[1]
        good = np.array([one.relevant >= 0.5 for one in held])
        both = [queries == query for query in range(int(queries.max()) + 1)]
        return [area(scores[mine], good[mine]) for mine in both if 0 < good[mine].sum() < mine.sum()]

    def read(self, pairs: Sequence[tuple[str, str]]) -> Relevance:
        """See `Reads`. What the encoder has no room for is cut off the passage's end."""
        if not pairs:
            return Relevance(np.zeros(0), np.zeros(0, np.int64))
        encoder = self.encoder_
        sizes = np.asarray(encoder.lengths([self._text(*pair) for pair in pairs]), np.int64)
        return Relevance(self.scores(pairs), np.minimum(sizes, encoder.max_length))

    def _text(self, prompt: str, answer: str) -> str:
        return text_of(self.encoder_, prompt, answer)

    def _report(self) -> dict[str, Any]:
        return self.report_.to_json()

    def _reported(self, told: dict[str, Any]) -> None:
        self.report_ = Learnt.from_json(told)


def text_of(encoder: Encoder, query: str, passage: str) -> str:
    """Return what is read: both, the encoder's own separator between them."""
    between = encoder.tokenizer.sep_token or "\n\n"
    return f"{query} {between} {passage}"
