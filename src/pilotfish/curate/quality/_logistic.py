"""Logistic regression on shares: a row that is good by two thirds counts two thirds as good and one third as not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need

__all__ = ["logistic"]


def logistic(x: Any, targets: NDArray[np.float64], c: float, max_iter: int = 500) -> tuple[NDArray[np.float64], float]:
    """Return weights (columns,) and intercept for rows (rows, columns), sparse or dense, and targets from 0 to 1."""
    linear = need("sklearn.linear_model", "train")
    sparse = need("scipy.sparse", "train")
    up, down = np.flatnonzero(targets > 0), np.flatnonzero(targets < 1)
    rows, y = np.concatenate([up, down]), np.concatenate([np.ones(len(up)), np.zeros(len(down))])
    weight = np.concatenate([targets[up], 1 - targets[down]])
    given = x[rows] if sparse.issparse(x) or len(rows) != len(targets) or (np.diff(rows) < 0).any() else x
    model = linear.LogisticRegression(C=c, max_iter=max_iter)
    model.fit(given, y, sample_weight=weight)
    return np.asarray(model.coef_[0], np.float64), float(model.intercept_[0])
