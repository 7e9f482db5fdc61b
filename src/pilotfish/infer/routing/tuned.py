"""A router whose encoder is fine-tuned: what makes a request hard for a model is not what makes two texts alike.

Source: Ong et al. 2024 (RouteLLM), section 4.2, the BERT classifier; Ding et al. 2024 (Hybrid LLM), section 3.1, soft
labels; here one output a model, each the probability of its best quality, with binary cross-entropy.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError
from pilotfish.infer.routing.base import Router
from pilotfish.models.classify.features import EncoderFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.train.encoding import ScaledHead, train
from pilotfish.train.folder import digest
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pilotfish.infer.routing.outcomes import Outcomes
    from pilotfish.models.classify.features import Features

__all__ = ["TunedRouter"]

FOLDER = "encoder"
HEAD_RATE = 30.0  # times the encoder's learning rate


class TunedRouter(Router):
    """An encoder and a linear head over its vector and the surface features, trained together.

    The encoder that is given stays as it is; its tuned copy is saved whole in the router's folder.

    Args:
        features: an encoder's.
        epochs: passes over the rows.
        rate: the encoder's learning rate; the head's is 30 times as high.
        batch: rows a step, of mean length; of longer ones fewer.
        seed: of the order and the head.
    """

    kind: ClassVar[str] = "tuned"
    learned: ClassVar[tuple[str, ...]] = ("coef_", "intercept_")

    def __init__(
        self, features: Features | None = None, epochs: int = 3, rate: float = 3e-5, batch: int = 16, seed: int = 0
    ) -> None:
        super().__init__(features)
        self.epochs, self.rate, self.batch, self.seed = epochs, rate, batch, seed

    def fit(self, outcomes: Outcomes) -> Self:
        """Tune a copy of the encoder.

        Raises:
            ConfigError: the features are not an encoder's.
            DataError: see `Router.fit`; or all qualities are the same.
        """
        if not isinstance(self.features, EncoderFeatures) or not isinstance(self.features.encoder, Encoder):
            raise ConfigError("a tuned router takes an encoder's features")
        self.tuned_ = self.features.encoder.load()
        self._texts: Sequence[str] = outcomes.texts
        try:
            return super().fit(outcomes)
        finally:
            del self._texts

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return (texts, dimension): the tuned encoder's vectors and the surface features."""
        dense = self.tuned_.encode(texts).astype(np.float64)
        return np.concatenate([dense, self._plain(texts)], axis=1)

    def save(self, folder: str | Path) -> None:
        """Write the router, and the tuned encoder beside it."""
        super().save(folder)
        self.tuned_.model.save(str(Path(folder) / FOLDER), create_model_card=False)

    def _fit(self, x: Any, quality: NDArray[np.float64]) -> None:
        if not self.high_ > self.low_:
            raise DataError("all qualities are the same: there is nothing to learn")
        torch = need("torch", "train")

        encoder = self.tuned_.copied()
        target = (quality - self.low_) / (self.high_ - self.low_)
        there = ~np.isnan(target)
        share = np.clip(np.nanmean(target, axis=0), 0.02, 0.98)
        head = ScaledHead(x.shape[1], quality.shape[1], HEAD_RATE, self.seed, np.log(share / (1 - share)))
        device = encoder.model.device
        wanted = torch.tensor(np.where(there, target, 0.0), dtype=torch.float32, device=device)
        known = torch.tensor(there, dtype=torch.float32, device=device)

        def loss(said: Any, rows: Any, _: Any) -> Any:
            return torch.nn.functional.binary_cross_entropy_with_logits(
                said, wanted[rows], known[rows], reduction="sum"
            )

        how = self._how(encoder)
        identity = digest([asdict(how), encoder.name, target.tolist()], self._texts)
        # A row counts as many qualities as it tells, so that a step's loss is the mean over them.
        counts = there.sum(axis=1).astype(np.float64)
        train(encoder, head.module, self._texts, counts, loss, how, None, identity, beside=self._plain(self._texts))
        self.tuned_ = encoder
        coef, intercept = head.weights()
        self.coef_, self.intercept_ = coef.astype(np.float64), intercept.astype(np.float64)

    def _how(self, encoder: Encoder) -> Fit:
        """Return how to train: a pass, which is a step, holds the tokens of `batch` texts of mean length."""
        mean = float(np.mean(np.minimum(encoder.lengths(self._texts), encoder.max_length)))
        tokens = max(1, round(self.batch * mean))
        return Fit(epochs=self.epochs, batch_tokens=tokens, rate=self.rate, decay=0.01, dtype="float32", seed=self.seed)

    def _predict(self, x: Any) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.asarray(x) @ self.coef_.T + self.intercept_
        return self.low_ + (self.high_ - self.low_) / (1.0 + np.exp(-np.clip(found, -50, 50)))

    def _loaded(self, folder: Path) -> None:
        encoder = self.features.encoder if isinstance(self.features, EncoderFeatures) else None
        self.tuned_ = Encoder(folder / FOLDER, dtype=encoder.dtype if isinstance(encoder, Encoder) else "float32")
