"""A router by regression: quality is linear in the request's vector, or logistic where it is 0 or 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.infer.routing.base import Router

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.classify.features import Features


class LinearRouter(Router):
    """Logistic regression where all qualities are 0 or 1, else ridge regression; one for each model.

    Args:
        features: as in `Router`.
        c: the inverse of the penalty's strength.
    """

    kind: ClassVar[str] = "linear"
    learned: ClassVar[tuple[str, ...]] = ("coef_", "intercept_", "logistic_")
    sparse: ClassVar[bool] = True

    def __init__(self, features: Features | None = None, c: float = 0.1) -> None:
        super().__init__(features)
        self.c = c
        if not c > 0:
            raise ConfigError(f"c, the inverse of a penalty, must be above 0, not {c}")

    def _fit(self, x: Any, quality: NDArray[np.float64]) -> None:
        linear = need("sklearn.linear_model", "train")
        self.logistic_ = np.array([np.isin(quality[~np.isnan(quality)], (0.0, 1.0)).all()])
        self.coef_, self.intercept_ = np.zeros((quality.shape[1], x.shape[1])), np.zeros(quality.shape[1])
        for i, column in enumerate(quality.T):
            known = ~np.isnan(column)
            y = column[known]
            if len(np.unique(y)) < 2:  # it was always as good: nothing to tell apart
                share = np.clip(y.mean(), 1e-3, 1 - 1e-3) if self.logistic_ else y.mean()
                self.intercept_[i] = np.log(share / (1 - share)) if self.logistic_ else share
                continue
            if self.logistic_:
                model = linear.LogisticRegression(C=self.c, max_iter=2000).fit(x[known], y.astype(int))
                self.coef_[i], self.intercept_[i] = model.coef_[0], model.intercept_[0]
            else:
                model = linear.Ridge(alpha=1.0 / self.c).fit(x[known], y)
                self.coef_[i], self.intercept_[i] = model.coef_, model.intercept_

    def _predict(self, x: Any) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.asarray(x @ self.coef_.T) + self.intercept_
        return 1.0 / (1.0 + np.exp(-np.clip(found, -50, 50))) if self.logistic_ else found
