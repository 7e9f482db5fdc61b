"""A linear regressor over features, its penalty chosen where whole groups are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish._extras import need
from pilotfish.measure.folds import folds

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["PENALTIES", "fitted"]

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4)


def fitted(
    features: NDArray[np.float64],
    scores: NDArray[np.float64],
    groups: ArrayLike,
    *,
    positive: bool = False,
    penalties: Sequence[float] = PENALTIES,
    seed: int = 0,
) -> tuple[NDArray[np.float64], float, float]:
    """Return weights, bias and the penalty that did best over five folds of groups: ridge regression.

    Args:
        features: (rows, features), of about one scale.
        scores: (rows,)
        groups: (rows,) rows of one are learnt from or tested on together.
        positive: no weight below 0: every feature is known to be better the higher it is, whatever the rows say.
        penalties: to choose from.
        seed: of the folds.

    Raises:
        DataError: fewer groups than folds.
    """
    linear = need("sklearn.linear_model", "local")
    parts = list(folds(groups, 5, seed))
    # The penalty goes with the number of rows, so that folds and the whole mean the same by it.
    errors = []
    for penalty in penalties:
        wrong = 0.0
        for learnt, held in parts:
            model = linear.Ridge(alpha=penalty * len(learnt) / len(scores), positive=positive)
            model.fit(features[learnt], scores[learnt])
            wrong += float(np.square(model.predict(features[held]) - scores[held]).sum())
        errors.append(wrong)
    best = penalties[int(np.argmin(errors))]
    model = linear.Ridge(alpha=best, positive=positive).fit(features, scores)
    return np.asarray(model.coef_, np.float64), float(model.intercept_), best
