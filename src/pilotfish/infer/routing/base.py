"""The router: one contract, of which a kind says only how quality follows from a request's vector."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.infer.routing.surface import surface
from pilotfish.models.classify.features import load_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.infer.routing.outcomes import Outcomes
    from pilotfish.models.catalog import Catalog
    from pilotfish.models.classify.features import Features

__all__ = ["Forecast", "Router", "load_router"]

FORMAT = 1
_LEARNED = ("mean_", "scale_", "costs_")  # by every kind
_PENALTY = 1.0  # of the ridge that foretells log cost, on standardised features


@dataclass(frozen=True, eq=False)
class Forecast:
    """What a router foretells.

    Attributes:
        models: the models' names.
        quality: (rows, models).
        cost: (rows, models) US dollars; NaN for a model whose cost is not known.
    """

    models: tuple[str, ...]
    quality: NDArray[np.float64]
    cost: NDArray[np.float64]


class Router(ABC):
    """Foretells each model's quality and cost for a request that none of them has seen.

    scikit-learn's contract: `fit` returns self and learned attributes end in `_`. A kind sees a request as one vector:
    the features' (an encoder's, say), standardised surface features (`surface`), or both. Costs are foretold by a ridge
    regression of their logarithm on the surface features, for every kind alike.

    Args:
        features: what turns texts into vectors; None for surface features alone.

    Attributes:
        models_: the models' names.
        low_, high_: the least and the highest quality seen; forecasts keep between them.
    """

    kind: ClassVar[str]
    learned: ClassVar[tuple[str, ...]]  # the arrays that this kind's `_fit` sets; files keep them
    surface: ClassVar[bool] = True  # whether the vector holds surface features too
    sparse: ClassVar[bool] = False  # whether it may be sparse

    def __init__(self, features: Features | None = None) -> None:
        self.features = features

    def fit(self, outcomes: Outcomes) -> Self:
        """Learn from outcomes; a model's unknown qualities are left out of what is learned of it.

        Raises:
            DataError: no rows, a model without a single quality, or features that find nothing in the rows.
        """
        if not len(outcomes):
            raise DataError("a router needs outcomes to learn from; there are none")
        for name, column in zip(outcomes.models, outcomes.quality.T, strict=True):
            if np.isnan(column).all():
                raise DataError(f"no row tells the quality of {name}")
        if self.features is not None:
            self.features.fit(outcomes.texts)
        plain = surface(outcomes.texts)
        self.mean_, self.scale_ = plain.mean(axis=0), np.maximum(plain.std(axis=0), 1e-6)
        self.models_ = outcomes.models
        self.low_, self.high_ = float(np.nanmin(outcomes.quality)), float(np.nanmax(outcomes.quality))
        self._fit_costs(outcomes)
        self._fit(self.vectors(outcomes.texts), outcomes.quality)
        return self

    def vectors(self, texts: Sequence[str]) -> Any:
        """Return (texts, dimension), what `predict` starts from; sparse where the features are (TF-IDF).

        Raises:
            ConfigError: the features are sparse and this kind of router takes dense ones only.
        """
        if self.features is None:
            return self._plain(texts)
        found = self.features.transform(texts)
        if not hasattr(found, "tocsr"):
            dense = np.asarray(found, np.float64).reshape(len(texts), -1)
            return np.concatenate([dense, self._plain(texts)], axis=1) if self.surface else dense
        if not self.sparse:
            raise ConfigError(f"a {self.kind} router takes an encoder's or static vectors, not {self.features.kind}")
        return need("scipy.sparse", "train").hstack([found, self._plain(texts)]).tocsr()

    def predict(self, texts: Sequence[str]) -> Forecast:
        """Return what is foretold of each text."""
        if not texts:
            return Forecast(self.models_, *(np.zeros((0, len(self.models_))) for _ in range(2)))
        return self.predict_from(self.vectors(texts), texts)

    def predict_from(self, vectors: Any, texts: Sequence[str]) -> Forecast:
        """Return the same from vectors that are there already; the texts are looked at for their surface only."""
        quality = np.clip(self._predict(vectors), self.low_, self.high_)
        return Forecast(self.models_, quality, self._costs(texts))

    def save(self, folder: str | Path) -> None:
        """Write the router: router.json, router.safetensors, and the features' own files."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if self.features is not None:
            self.features.save(folder)
        facts = {
            "format": FORMAT,
            "kind": self.kind,
            "features": None if self.features is None else self.features.kind,
            "models": list(self.models_),
            "quality": [self.low_, self.high_],
            "settings": {name: getattr(self, name) for name in self._settings()},
        }
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in (*_LEARNED, *self.learned)}
        need("safetensors.numpy", "local").save_file(arrays, folder / "router.safetensors")
        (folder / "router.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")

    def _plain(self, texts: Sequence[str]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (surface(texts) - self.mean_) / self.scale_
        return found

    def _fit_costs(self, outcomes: Outcomes) -> None:
        """Learn log cost: (models, 1 + surface features); NaN where a model's costs are not known."""
        x = np.concatenate([np.ones((len(outcomes), 1)), self._plain(outcomes.texts)], axis=1)
        self.costs_ = np.full((len(outcomes.models), x.shape[1]), np.nan)
        penalty = np.diag([0.0, *[_PENALTY] * (x.shape[1] - 1)])
        for i, cost in enumerate(outcomes.cost.T):
            known = ~np.isnan(cost)
            if known.any():
                a, y = x[known], np.log(np.maximum(cost[known], 1e-12))
                found = np.linalg.solve(a.T @ a + penalty, a.T @ y)
                # A mean of logarithms lies below the logarithm of the mean; the mean is what is paid.
                found[0] += np.log(max(1e-12, float(cost[known].mean())) / float(np.exp(a @ found).mean()))
                self.costs_[i] = found

    def _costs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        x = np.concatenate([np.ones((len(texts), 1)), self._plain(texts)], axis=1)
        found: NDArray[np.float64] = np.exp(np.minimum(x @ self.costs_.T, 20.0))
        return found

    @abstractmethod
    def _fit(self, x: Any, quality: NDArray[np.float64]) -> None:
        """Learn (rows, models) quality, NaN where unknown, from (rows, dimension) vectors."""

    @abstractmethod
    def _predict(self, x: Any) -> NDArray[np.float64]:
        """Return (rows, models) quality."""

    def _loaded(self, folder: Path) -> None:  # noqa: B027 most kinds have no files of their own
        """Take back what a kind saves in files of its own."""

    @classmethod
    def _settings(cls) -> list[str]:
        """Return the names of the constructor's further arguments; each is kept as an attribute of that name."""
        return [name for name in inspect.signature(cls).parameters if name != "features"]


def load_router(folder: str | Path, catalog: Catalog | None = None) -> Router:
    """Read a router that `Router.save` wrote.

    Raises:
        ModelError: the files are missing, damaged, or of a kind or format that this version does not know.
    """
    from pilotfish.infer import routing

    folder = Path(folder)
    with reading(folder, "router"):
        facts = facts_in(folder / "router.json", "router", FORMAT)
        kinds: dict[str, Any] = {
            kind.kind: kind
            for kind in (
                *(routing.KnnRouter, routing.LinearRouter, routing.BoostedRouter, routing.FactorRouter),
                routing.TunedRouter,
            )
        }
        if facts["kind"] not in kinds:
            raise ModelError(f"{folder}: a router of an unknown kind {facts['kind']!r}; known: {', '.join(kinds)}")
        features = None if facts["features"] is None else load_features(facts["features"], folder, catalog)
        router: Router = kinds[facts["kind"]](features, **facts["settings"])
        arrays = need("safetensors.numpy", "local").load_file(folder / "router.safetensors")
        router.models_ = tuple(facts["models"])
        router.low_, router.high_ = facts["quality"]
        for name in (*_LEARNED, *router.learned):
            setattr(router, name, arrays[name])
        router._loaded(folder)
    return router
