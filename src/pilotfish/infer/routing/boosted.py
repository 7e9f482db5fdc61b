"""A router by boosted trees: scikit-learn fits them, numpy alone walks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pilotfish._extras import need
from pilotfish.infer.routing.base import Router
from pilotfish.models._trees import grown, taken, walked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.classify.features import Features


class BoostedRouter(Router):
    """Gradient-boosted regression trees (scikit-learn's histogram kind), one ensemble for each model.

    A saved router holds the trees as arrays and needs no scikit-learn.

    Args:
        features: as in `Router`.
        rounds: trees a model.
        rate: the learning rate.
        leaves: the most leaves of a tree.
        seed: of the fit.
    """

    kind: ClassVar[str] = "boosted"
    learned: ClassVar[tuple[str, ...]] = ("base_", "nodes_", "starts_")

    def __init__(
        self, features: Features | None = None, rounds: int = 60, rate: float = 0.06, leaves: int = 8, seed: int = 0
    ) -> None:
        super().__init__(features)
        self.rounds, self.rate, self.leaves, self.seed = rounds, rate, leaves, seed

    def _fit(self, x: Any, quality: NDArray[np.float64]) -> None:
        ensemble = need("sklearn.ensemble", "train")
        self.base_ = np.zeros(quality.shape[1])
        trees: list[tuple[int, Any]] = []  # the model whose quality a tree adds to, and the tree
        for i, column in enumerate(quality.T):
            known = ~np.isnan(column)
            y = column[known]
            if len(np.unique(y)) < 2:
                self.base_[i] = y.mean()
                continue
            model = ensemble.HistGradientBoostingRegressor(
                max_iter=self.rounds,
                learning_rate=self.rate,
                max_leaf_nodes=self.leaves,
                min_samples_leaf=max(5, len(y) // 50),
                l2_regularization=1.0,
                early_stopping=False,
                random_state=self.seed,
            )
            grown(model, x[known], y)
            self.base_[i] = float(np.ravel(model._baseline_prediction)[0])
            trees += [(i, tree) for (tree,) in model._predictors]
        self.nodes_, self.starts_ = taken(trees)

    def _predict(self, x: Any) -> NDArray[np.float64]:
        return walked(x, self.base_, self.nodes_, self.starts_)
