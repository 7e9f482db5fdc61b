"""A router by neighbours: a request is answered as well as the requests most like it were.

Source: Hu et al. 2024 (RouterBench), section 4.1, the k-nearest-neighbours router; weights by similarity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.infer.routing.base import Router

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.classify.features import Features

_BATCH = 1024


class KnnRouter(Router):
    """The mean quality of the `k` nearest known requests by cosine, and of `shrink` more at the model's mean.

    Only the features' vectors count for nearness (surface features where there are no others).
    """

    kind: ClassVar[str] = "knn"
    learned: ClassVar[tuple[str, ...]] = ("known_", "quality_", "prior_")
    surface: ClassVar[bool] = False

    def __init__(self, features: Features | None = None, k: int = 50, shrink: float = 5.0) -> None:
        super().__init__(features)
        self.k, self.shrink = k, shrink
        if k < 1 or shrink < 0:
            raise ConfigError("a neighbours' router needs k of 1 or more, and shrink of 0 or more")

    def _fit(self, x: Any, quality: NDArray[np.float64]) -> None:
        self.known_ = _unit(x).astype(np.float32)
        self.quality_ = quality
        self.prior_ = np.nanmean(quality, axis=0)

    def _predict(self, x: Any) -> NDArray[np.float64]:
        found = []
        k = min(self.k, len(self.known_))
        for start in range(0, len(x), _BATCH):
            near = _unit(x[start : start + _BATCH]).astype(np.float32) @ self.known_.T
            nearest = np.argpartition(-near, k - 1, axis=1)[:, :k]
            weight = np.maximum(np.take_along_axis(near, nearest, axis=1), 0.0).astype(np.float64)[:, :, None]
            seen = self.quality_[nearest]
            there = ~np.isnan(seen)
            total = (weight * np.where(there, seen, 0.0)).sum(axis=1) + self.shrink * self.prior_
            count = (weight * there).sum(axis=1) + self.shrink
            # With no shrinkage and no neighbour that tells, the mean is all there is.
            found.append(np.where(count > 0, total / np.maximum(count, 1e-12), self.prior_))
        return np.concatenate(found) if found else np.zeros((0, len(self.models_)))


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return unit
