"""Whether explanations stay when a model is taught again with another seed.

Source: rank agreement of importances: Krishna et al. 2022 (The Disagreement Problem in Explainable Machine Learning),
section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError

__all__ = ["Stability", "stability"]


@dataclass(frozen=True)
class Stability:
    """Means over all pairs of models.

    Attributes:
        correlation: Spearman's, of the columns' importances.
        top: the share of the most important columns that two models have in common.
        k: how many those are.
        models: that were compared.
    """

    correlation: float
    top: float
    k: int
    models: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def stability(importances: Sequence[NDArray[np.float64]], k: int = 3) -> Stability:
    """Return how far importances agree: (columns,) of each of two models or more.

    Raises:
        DataError: fewer than two models, or other columns.
    """
    if len(importances) < 2 or len({len(one) for one in importances}) != 1:
        raise DataError("stability needs the importances of two models or more, of the same columns")
    k = min(k, len(importances[0]))
    correlations, shared = [], []
    for a, b in combinations(importances, 2):
        correlations.append(_spearman(a, b))
        tops = [set(np.argsort(-one, kind="stable")[:k].tolist()) for one in (a, b)]
        shared.append(len(tops[0] & tops[1]) / k)
    return Stability(float(np.mean(correlations)), float(np.mean(shared)), k, len(importances))


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    ranks = []
    for one in (a, b):
        _, which, counts = np.unique(one, return_inverse=True, return_counts=True)
        stops = np.cumsum(counts)
        ranks.append((stops - (counts - 1) / 2)[which])
    spreads = [one.std() for one in ranks]
    if not all(spreads):
        return 1.0 if not any(spreads) else 0.0  # all alike tell no order
    return float(np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())) / (spreads[0] * spreads[1]))
