"""What an uncertainty is worth: whether it is high where answers are wrong.

Source: Malinin et al. 2017 (Incorporating Uncertainty into Deep Learning for Spoken Language Assessment), section 4,
and Malinin and Gales 2021, section 5: the prediction rejection ratio. Calibration is in `measure.metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.measure.curve import area_interval
from pilotfish.measure.intervals import Interval, bootstrap

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["auroc", "prr", "rejection"]


def rejection(uncertainty: ArrayLike, quality: ArrayLike) -> NDArray[np.float64]:
    """Return the mean quality of the 1, 2, ... n answers that are surest: (answers,).

    Of answers that are equally sure the order is random, so the curve is what is expected.

    Raises:
        DataError: columns that do not fit, or a number that is not finite.
    """
    unsure, good = np.asarray(uncertainty, np.float64), np.asarray(quality, np.float64)
    if unsure.ndim != 1 or unsure.shape != good.shape or not len(unsure):
        raise DataError(f"an uncertainty and a quality of each answer are needed; got {unsure.shape}, {good.shape}")
    if not (np.isfinite(unsure).all() and np.isfinite(good).all()):
        raise DataError("an uncertainty or a quality is not finite")
    _, group = np.unique(unsure, return_inverse=True)
    means = np.bincount(group, weights=good) / np.bincount(group)
    found: NDArray[np.float64] = np.cumsum(means[np.sort(group)]) / np.arange(1, len(good) + 1)
    return found


def prr(uncertainty: ArrayLike, quality: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0) -> Interval:
    """Return the prediction rejection ratio: 1 where the worst answers go first, 0 where it is chance.

    Raises:
        DataError: as `rejection`, or all answers are as good as one another.
    """
    table = np.stack([np.asarray(uncertainty, np.float64), np.asarray(quality, np.float64)], axis=1)
    rejection(table[:, 0], table[:, 1])
    if not np.ptp(table[:, 1]) > 0:
        raise DataError("all answers are as good as one another: there is nothing to reject by")
    return bootstrap(table, _ratio, groups=groups, seed=seed, resamples=2000, method="percentile")


def auroc(uncertainty: ArrayLike, right: ArrayLike) -> Interval:
    """Return how likely a wrong answer is more uncertain than a right one, with its interval."""
    return area_interval(np.asarray(uncertainty, np.float64), ~np.asarray(right, bool))


def _ratio(table: NDArray[Any]) -> float:
    mean = float(table[:, 1].mean())
    best = float(rejection(-table[:, 1], table[:, 1]).mean()) - mean
    # A draw in which all are alike says nothing.
    return (float(rejection(table[:, 0], table[:, 1]).mean()) - mean) / best if best > 1e-12 else 0.0
