"""Quality by a fine-tuned encoder, as FineWeb-Edu's classifier is one.

Source: Penedo et al. 2024, section 4 (a head on an encoder, ratings from 0 to 5); here the encoder learns too, with
binary cross-entropy on the rating over five.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pilotfish._extras import need
from pilotfish.curate.quality.base import Floats, QualityClassifier
from pilotfish.models.encoder import Encoder
from pilotfish.train.encoding import ScaledHead, train
from pilotfish.train.folder import digest
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["TunedClassifier"]

FOLDER, HEAD = "encoder", "head.safetensors"
HEAD_RATE = 30.0  # times the encoder's learning rate


class TunedClassifier(QualityClassifier):
    """The slowest and, where meaning decides, the best. The encoder that is given stays as it is.

    Args:
        encoder: what to start from.
        epochs: passes over the rows.
        rate: the encoder's learning rate.
        batch_tokens: the most tokens a step.
        checkpoints: a folder, so that a killed fit goes on; None keeps none.
        settings: those of `QualityClassifier`.

    Attributes:
        tuned_: the encoder.
        coef_: (dimension,) float64.
        intercept_: float.
    """

    kind: ClassVar[str] = "tuned"

    def __init__(
        self,
        encoder: Encoder,
        epochs: int = 3,
        rate: float = 5e-5,
        batch_tokens: int = 1024,
        checkpoints: str | Path | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.encoder, self.epochs, self.rate, self.batch_tokens = encoder, epochs, rate, batch_tokens
        self.checkpoints = checkpoints

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return the head's sums; a text longer than the encoder takes is cut at its end."""
        return np.asarray(self.tuned_.encode(texts) @ self.coef_ + self.intercept_, np.float64)

    def settings(self) -> dict[str, Any]:
        """Return what `__init__` takes, the encoder and the folder aside."""
        names = ("epochs", "rate", "batch_tokens")
        return {**{name: getattr(self, name) for name in names}, **super().settings()}

    def _learn(self, texts: Sequence[str], targets: Floats) -> None:
        torch = need("torch", "train")
        how = Fit(
            epochs=self.epochs,
            batch_tokens=self.batch_tokens,
            rate=self.rate,
            decay=0.01,
            dtype="float32",
            seed=self.seed,
        )
        encoder = self.encoder.load().copied()
        share = float(np.clip(targets.mean(), 0.02, 0.98))
        head = ScaledHead(encoder.dimension, 1, HEAD_RATE, self.seed, np.array([np.log(share / (1 - share))]))
        wanted = torch.tensor(targets, dtype=torch.float32, device=encoder.model.device)

        def loss(said: Any, rows: Any, _: Any) -> Any:
            return torch.nn.functional.binary_cross_entropy_with_logits(said[:, 0], wanted[rows], reduction="sum")

        identity = digest([asdict(how), encoder.name, targets.tolist()], texts)
        train(encoder, head.module, texts, np.ones(len(texts)), loss, how, self.checkpoints, identity)
        self.tuned_ = encoder
        coef, bias = head.weights()
        self.coef_, self.intercept_ = coef[0].astype(np.float64), float(bias[0])

    def _save(self, folder: Path) -> None:
        self.tuned_.model.save(str(folder / FOLDER), create_model_card=False)
        tensors = {"coef": self.coef_, "intercept": np.array([self.intercept_])}
        need("safetensors.numpy", "local").save_file(tensors, folder / HEAD)

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], catalog: Catalog | None) -> Self:
        if not (folder / FOLDER).is_dir():
            raise ValueError(f"the folder {FOLDER} is missing")
        tensors = need("safetensors.numpy", "local").load_file(folder / HEAD)
        found = cls(Encoder(folder / FOLDER, catalog=catalog), **settings)
        found.tuned_ = found.encoder
        found.coef_, found.intercept_ = tensors["coef"], float(tensors["intercept"][0])
        return found
