"""A fine-tuned encoder that reads two records as one text.

Source: Li et al. 2020 (Ditto), section 2: serialised records, a separator between them, and cross-entropy; here with
the cross-encoder that re-ranks passages (`pilotfish.retrieve.rerank.TaughtReranker`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._saved import facts_in, reading
from pilotfish.compete.entities.match.matcher import parted
from pilotfish.compete.entities.match.pairs import Pair, labels_of, serialised
from pilotfish.compete.entities.match.report import MatchReport, best_threshold, judged
from pilotfish.retrieve.rerank.taught import Judgement, TaughtReranker
from pilotfish.rows._atomic import atomic
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.models.encoder import Encoder

__all__ = ["FILE", "FIT", "PairEncoder"]

FILE, FORMAT = "pairs.json", 1
FIT = Fit(epochs=5, batch_tokens=2048, rate=1e-4, decay=0.01, dtype="float32")
Floats = NDArray[np.float64]


class PairEncoder:
    """Tells whether two records are of the same thing, by reading both.

    Args:
        encoder: what to start from. It stays as it is.
        how: how to train.
        tuning: the share of the pairs that is kept to choose the threshold by, where `fit` gets no others.
        folder: of checkpoints; None keeps none.

    Attributes:
        reader_: taught.
        threshold_: of the probability.
    """

    reader_: TaughtReranker
    threshold_: float

    def __init__(
        self, encoder: Encoder, how: Fit = FIT, *, tuning: float = 0.25, folder: str | Path | None = None
    ) -> None:
        self.encoder, self.how, self.tuning, self.folder = encoder, how, tuning, folder

    def fit(self, pairs: Sequence[Pair], tune: Sequence[Pair] = ()) -> Self:
        """Learn from labelled pairs; see `Matcher.fit`.

        Raises:
            DataError: a pair without a label, or pairs that are all alike.
            ModelError: the loss is not finite.
        """
        pairs, tune = parted(pairs, tune, self.tuning, self.how.seed)
        labels = labels_of(pairs)
        told = [Judgement(*_texts(pair), float(same)) for pair, same in zip(pairs, labels, strict=True)]
        self.reader_ = TaughtReranker(self.encoder, self.how, held_out=0.0, folder=self.folder, name="pair encoder")
        self.reader_.fit(told)
        self.threshold_, _ = best_threshold(self.probabilities(tune), np.array(labels_of(tune)))
        return self

    def probabilities(self, pairs: Sequence[Pair]) -> Floats:
        """Return (pairs,): how likely each is of the same thing."""
        scores = self.reader_.scores([_texts(pair) for pair in pairs])
        return np.asarray(1 / (1 + np.exp(-np.clip(scores, -500, 500))))

    def measure(self, pairs: Sequence[Pair]) -> MatchReport:
        """Return how well labelled pairs are told apart.

        Raises:
            DataError: none, or one without a label.
        """
        return judged(self.probabilities(pairs), labels_of(pairs), self.threshold_)

    def save(self, folder: str | Path) -> None:
        """Write the encoder and, last, pairs.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        self.reader_.save(folder)
        with atomic(folder / FILE) as file:
            file.write(json.dumps({"format": FORMAT, "threshold": self.threshold_}).encode() + b"\n")

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> Self:
        """Read what `save` wrote; the weights load at the first use.

        Raises:
            ModelError: the folder holds no pair encoder, or a damaged one.
        """
        with reading(folder, "pair encoder"):
            threshold = float(facts_in(Path(folder) / FILE, "pair encoder", FORMAT)["threshold"])
        reader = TaughtReranker.load(folder, catalog)
        made = cls(reader.encoder_)
        made.reader_, made.threshold_ = reader, threshold
        return made


def _texts(pair: Pair) -> tuple[str, str]:
    return serialised(pair.left), serialised(pair.right)
