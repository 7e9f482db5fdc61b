"""A router by factors: models and requests meet in few dimensions, and what one model shows tells about the others.

Source: Ong et al. 2024 (RouteLLM), section 4.2, matrix factorisation: the score of model m for request q is bilinear in
a vector of m and a projection of q's embedding. Here it is fitted to each answer's quality rather than to wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.infer.routing.base import Router

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pilotfish.models.classify.features import Features


class FactorRouter(Router):
    """quality[q, m] = mean[m] + v[m] · W x[q], fitted by alternating ridge regressions.

    With one factor the models are ordered by strength and requests by difficulty; more factors let models be good at
    different things. A model that is new has `v` fitted to few outcomes, by `learn`.

    Args:
        features: as in `Router`.
        factors: the rank.
        penalty: of W, on standardised vectors, a row; of v it is 1.
        rounds: of alternation.
        seed: of the start.
    """

    kind: ClassVar[str] = "factor"
    learned: ClassVar[tuple[str, ...]] = ("x_mean_", "x_scale_", "w_", "models_v_", "prior_")

    def __init__(
        self, features: Features | None = None, factors: int = 4, penalty: float = 30.0, rounds: int = 20, seed: int = 0
    ) -> None:
        super().__init__(features)
        self.factors, self.penalty, self.rounds, self.seed = factors, penalty, rounds, seed
        if factors < 1 or not penalty > 0:
            raise ConfigError("a router by factors needs one or more, and a penalty above 0")

    def _fit(self, x: Any, quality: NDArray[np.float64]) -> None:
        self.x_mean_, self.x_scale_ = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        z = (x - self.x_mean_) / self.x_scale_
        there = ~np.isnan(quality)
        self.prior_ = np.nanmean(quality, axis=0)
        rest = np.where(there, quality - self.prior_, 0.0)
        self.models_v_ = np.random.default_rng(self.seed).normal(size=(quality.shape[1], self.factors)) * 0.1 + 1.0
        inverse = np.linalg.inv(z.T @ z + self.penalty * np.eye(z.shape[1])) @ z.T
        for _ in range(self.rounds):
            # Each request's own factors by the models' vectors, then what of them its vector foretells.
            own = np.stack([_ridge(self.models_v_[seen], row[seen]) for seen, row in zip(there, rest, strict=True)])
            self.w_ = inverse @ own
            u = z @ self.w_
            scale = np.maximum(u.std(axis=0), 1e-9)
            u, self.w_ = u / scale, self.w_ / scale
            self.models_v_ = np.stack(
                [_ridge(u[seen], column[seen]) for seen, column in zip(there.T, rest.T, strict=True)]
            )

    def learn(self, name: str, texts: Sequence[str], quality: NDArray[np.float64], cost: float = float("nan")) -> Self:
        """Take in a model that was not there before, from the quality of a few of its answers.

        Args:
            name: the new model.
            texts: the requests, as in `Outcomes`.
            quality: (texts,) of its answers.
            cost: its mean cost a request, dollars.

        Raises:
            DataError: the name is taken, or there are no answers.
        """
        values = np.asarray(quality, np.float64)
        if name in self.models_ or not len(values):
            raise DataError(f"{name!r} is known already" if name in self.models_ else f"no outcomes of {name!r}")
        u = self._factors(self.vectors(texts))
        # The mean of few answers is worth little beside that of the models known: one answer against five of theirs.
        prior = float((values.sum() + 5 * self.prior_.mean()) / (len(values) + 5))
        self.models_v_ = np.vstack([self.models_v_, _ridge(u, values - prior, self.models_v_.mean(axis=0))])
        self.prior_ = np.append(self.prior_, prior)
        row = np.zeros((1, self.costs_.shape[1]))
        row[0, 0] = np.nan if np.isnan(cost) else np.log(max(cost, 1e-12))
        self.costs_ = np.vstack([self.costs_, row])
        self.models_ = (*self.models_, name)
        return self

    def _factors(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (x - self.x_mean_) / self.x_scale_ @ self.w_
        return found

    def _predict(self, x: Any) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.prior_ + self._factors(x) @ self.models_v_.T
        return found


def _ridge(
    x: NDArray[np.float64], y: NDArray[np.float64], centre: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the ridge solution of x w = y with penalty 1 on w's distance from `centre` (0)."""
    start = np.zeros(x.shape[1]) if centre is None else centre
    found: NDArray[np.float64] = start + np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ (y - x @ start))
    return found
