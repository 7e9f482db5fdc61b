"""A router whose encoder is fine-tuned: what makes a request hard for a model is not what makes two texts alike.

Source: Ong et al. 2024 (RouteLLM), section 4.2, the BERT classifier; Ding et al. 2024 (Hybrid LLM), section 3.1, soft
labels; here one output a model, each the probability of its best quality, with binary cross-entropy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError
from pilotfish.infer.routing.base import Router
from pilotfish.models.classify.features import EncoderFeatures
from pilotfish.models.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pilotfish.infer.routing.outcomes import Outcomes
    from pilotfish.models.classify.features import Features

__all__ = ["TunedRouter"]

FOLDER = "encoder"


class TunedRouter(Router):
    """An encoder and a linear head over its vector and the surface features, trained together.

    The encoder that is given stays as it is; its tuned copy is saved whole in the router's folder.

    Args:
        features: an encoder's.
        epochs: passes over the rows.
        rate: the encoder's learning rate; the head's is 30 times as high.
        batch: rows a step.
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
        module = encoder.model.train()
        target = (quality - self.low_) / (self.high_ - self.low_)
        there = ~np.isnan(target)
        plain = self._plain(self._texts)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            head = torch.nn.Linear(x.shape[1], quality.shape[1])
            share = np.clip(np.nanmean(target, axis=0), 0.02, 0.98)
            torch.nn.init.normal_(head.weight, std=0.01)
            head.bias.data = torch.tensor(np.log(share / (1 - share)), dtype=torch.float32)
            groups = [
                {"params": module.parameters(), "lr": self.rate},
                {"params": head.parameters(), "lr": 30 * self.rate},
            ]
            optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
            steps = self.epochs * -(-len(plain) // self.batch)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, [group["lr"] for group in groups], total_steps=max(2, steps), pct_start=0.1
            )
            order = np.random.default_rng(self.seed)
            for _ in range(self.epochs):
                rows = order.permutation(len(plain))
                for start in range(0, len(rows), self.batch):
                    at = rows[start : start + self.batch]
                    said = head(self._seen(module, [self._texts[i] for i in at], plain[at]))
                    wanted = torch.tensor(np.where(there[at], target[at], 0.0), dtype=torch.float32)
                    weight = torch.tensor(there[at], dtype=torch.float32)
                    loss = torch.nn.functional.binary_cross_entropy_with_logits(said, wanted, weight, reduction="sum")
                    optimizer.zero_grad()
                    (loss / weight.sum().clamp(min=1)).backward()
                    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
                    optimizer.step()
                    schedule.step()
        module.eval()
        self.tuned_ = encoder
        self.coef_ = head.weight.detach().double().numpy()
        self.intercept_ = head.bias.detach().double().numpy()

    def _seen(self, module: Any, texts: list[str], plain: NDArray[np.float64]) -> Any:
        """Return (texts, dimension) with gradients."""
        torch = need("torch", "train")
        prepared = getattr(module, "preprocess", None) or module.tokenize  # its name until sentence-transformers 5.2
        inputs = {
            key: value.to(module.device) if hasattr(value, "to") else value for key, value in prepared(texts).items()
        }
        dense = module(inputs)["sentence_embedding"].float().cpu()
        return torch.cat([dense, torch.tensor(plain, dtype=torch.float32)], dim=1)

    def _predict(self, x: Any) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.asarray(x) @ self.coef_.T + self.intercept_
        return self.low_ + (self.high_ - self.low_) / (1.0 + np.exp(-np.clip(found, -50, 50)))

    def _loaded(self, folder: Path) -> None:
        encoder = self.features.encoder if isinstance(self.features, EncoderFeatures) else None
        self.tuned_ = Encoder(folder / FOLDER, dtype=encoder.dtype if isinstance(encoder, Encoder) else "float32")
