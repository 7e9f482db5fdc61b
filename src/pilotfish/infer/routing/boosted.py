"""A router by boosted trees: scikit-learn fits them, numpy alone walks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pilotfish._extras import need
from pilotfish.infer.routing.base import Router

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
        nodes: list[NDArray[np.float64]] = []
        starts: list[tuple[int, int]] = []  # of each tree: its model, and its first node
        count = 0
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
            # Trees as small as these are grown three times as fast by one thread as by two that wait for each other.
            with need("threadpoolctl", "train").threadpool_limits(1, user_api="openmp"):
                model.fit(x[known], y)
            # scikit-learn shows these trees nowhere else; a test walks them beside its own `predict`.
            self.base_[i] = float(np.ravel(model._baseline_prediction)[0])
            for (tree,) in model._predictors:
                table = tree.nodes
                leaf = table["is_leaf"].astype(bool)
                # A leaf points at itself, so that all rows may walk as many steps as the deepest tree has.
                own = np.arange(len(table))
                left, right = (np.where(leaf, own, table[side].astype(np.int64)) for side in ("left", "right"))
                columns = [
                    table["feature_idx"].astype(np.float64),
                    np.where(leaf, np.inf, table["num_threshold"]),
                    left + count,
                    right + count,
                    np.where(leaf, table["value"], 0.0),
                ]
                starts.append((i, count))
                nodes.append(np.stack(columns, axis=1))
                count += len(table)
        self.nodes_ = np.concatenate(nodes) if nodes else np.zeros((0, 5))
        self.starts_ = np.array(starts, np.int64).reshape(len(starts), 2)

    def _predict(self, x: Any) -> NDArray[np.float64]:
        found = np.tile(self.base_, (len(x), 1))
        if not len(self.starts_) or not len(x):
            return found
        feature, left, right = (self.nodes_[:, i].astype(np.int64) for i in (0, 2, 3))
        at = np.tile(self.starts_[:, 1], (len(x), 1))  # (rows, trees)
        rows = np.arange(len(x))[:, None]
        for _ in range(self.leaves):
            below = x[rows, feature[at]] <= self.nodes_[at, 1]
            step = np.where(below, left[at], right[at])
            if (step == at).all():
                break
            at = step
        np.add.at(found.T, self.starts_[:, 0], self.nodes_[at, 4].T)
        return found
