"""Quality by static token vectors: distilled once from an encoder, averaged over a text, a linear layer on top.

Source: Tulkens and van Dongen 2024 (model2vec).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pilotfish._extras import need
from pilotfish.curate.quality._logistic import logistic
from pilotfish.curate.quality.base import Floats, QualityClassifier
from pilotfish.models.classify.features import StaticFeatures

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.models.encoder import Encoder

__all__ = ["StaticClassifier"]

HEAD = "head.safetensors"


class StaticClassifier(QualityClassifier):
    """Knows words that it was not shown, by what they mean; blind to their order.

    Args:
        encoder: what the vectors are distilled from; None for a classifier that is loaded.
        dimension: of the vectors.
        c: the inverse of the penalty's strength.
        settings: those of `QualityClassifier`.

    Attributes:
        features_: the vectors.
        coef_: (dimension,) float64.
        intercept_: float.
    """

    kind: ClassVar[str] = "static"

    def __init__(self, encoder: Encoder | None, dimension: int = 256, c: float = 10.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.encoder, self.dimension, self.c = encoder, dimension, c

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return the linear layer's sums."""
        return np.asarray(self.features_.transform(texts) @ self.coef_ + self.intercept_, np.float64)

    def settings(self) -> dict[str, Any]:
        """Return what `__init__` takes, the encoder aside."""
        return {"dimension": self.dimension, "c": self.c, **super().settings()}

    def _learn(self, texts: Sequence[str], targets: Floats) -> None:
        self.features_ = StaticFeatures(self.encoder, self.dimension).fit(texts)
        self.coef_, self.intercept_ = logistic(self.features_.transform(texts), targets, self.c)

    def _save(self, folder: Path) -> None:
        self.features_.save(folder)
        tensors = {"coef": self.coef_, "intercept": np.array([self.intercept_])}
        need("safetensors.numpy", "local").save_file(tensors, folder / HEAD)

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], catalog: Catalog | None) -> Self:
        found = cls(None, **settings)
        found.features_ = StaticFeatures.load(folder)
        tensors = need("safetensors.numpy", "local").load_file(folder / HEAD)
        found.coef_, found.intercept_ = tensors["coef"], float(tensors["intercept"][0])
        if found.coef_.shape != (found.features_.dimension,):
            raise ValueError(f"{found.coef_.shape} weights for vectors of {found.features_.dimension} numbers")
        return found
