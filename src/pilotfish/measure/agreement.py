"""How far two who judge the same rows agree, beyond chance: kappa for classes, weighted kappa for scales, correlations.

Sources: Cohen 1960 (kappa, equation 1) and 1968 (weighted kappa, equation 5). Weighted by squared differences it is the
concordance correlation (Fleiss and Cohen 1973; Lin 1989), so numbers need not be few, or whole.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, bootstrap

__all__ = ["Weights", "correlation", "kappa", "kappa_interval", "ranks"]

Weights = Literal["none", "linear", "quadratic"]


def kappa(a: Sequence[Hashable] | ArrayLike, b: Sequence[Hashable] | ArrayLike, weights: Weights = "none") -> float:
    """Return 1 - how much they differ over how much they would by chance, each keeping to what it says how often.

    1 is full agreement, 0 what chance gives, below 0 less than that. Of two who say the same one thing of every row,
    where chance agrees as fully, it is 0: nothing is shown.

    Args:
        a: what one says, one a row: classes; numbers where the difference weighs.
        b: what the other says of the same rows.
        weights: "none": any two classes differ as much; "linear", "quadratic": by the difference of the numbers, or
            its square.

    Raises:
        DataError: no rows, columns of several lengths, or classes where numbers are needed.
        ConfigError: no such weights.
    """
    return _kappa(_columns(a, b, weights), weights)


def kappa_interval(
    a: Sequence[Hashable] | ArrayLike,
    b: Sequence[Hashable] | ArrayLike,
    weights: Weights = "none",
    *,
    groups: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return kappa with its bootstrap interval; rows of one group are drawn together.

    Raises:
        DataError: as for `kappa`.
        ConfigError: as for `kappa`.
    """
    both = _columns(a, b, weights)
    return bootstrap(
        both, lambda rows: _kappa(rows, weights), groups=groups, resamples=resamples, method="percentile", seed=seed
    )


def correlation(rows: NDArray[Any]) -> float:
    """Return Pearson's correlation of two columns, (rows, 2); 0 where one of them has no spread."""
    centred = rows - rows.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    return float((centred[:, 0] * centred[:, 1]).mean() / spread.prod()) if np.ptp(rows, axis=0).all() else 0.0


def ranks(column: ArrayLike) -> NDArray[np.float64]:
    """Return ranks from 0, (rows,); equal values share the mean of theirs."""
    _, which, counts = np.unique(np.asarray(column), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[which], np.float64)


def _columns(a: Any, b: Any, weights: str) -> NDArray[np.float64]:
    """Return both columns as numbers, (rows, 2); classes by their place among all."""
    if weights not in get_args(Weights):
        raise ConfigError(f"weights are one of {', '.join(get_args(Weights))}, not {weights!r}")
    if len(a) != len(b) or not len(a):
        raise DataError(f"agreement needs two columns of the same rows, one row at least; there are {len(a)}, {len(b)}")
    if weights == "none":
        places: dict[Any, int] = {}
        return np.array(
            [[places.setdefault(one, len(places)) for one in pair] for pair in zip(a, b, strict=True)], float
        )
    try:
        both = np.stack([np.asarray(a, np.float64), np.asarray(b, np.float64)], axis=1)
    except (TypeError, ValueError):
        raise DataError(f"weights = {weights!r} needs numbers") from None
    if not np.isfinite(both).all():
        raise DataError("a number is not finite")
    return both


def _kappa(both: NDArray[np.float64], weights: str) -> float:
    x, y = both[:, 0], both[:, 1]
    if not np.ptp(both) > 0:
        return 0.0
    if weights == "quadratic":
        apart = float(((x - y) ** 2).mean())
        chance = float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    else:
        values, which = np.unique(both, return_inverse=True)
        place = which.reshape(both.shape)
        shares = [np.bincount(place[:, side], minlength=len(values)) / len(both) for side in (0, 1)]
        cost = abs(values[:, None] - values) if weights == "linear" else 1.0 - np.eye(len(values))
        apart = float(cost[place[:, 0], place[:, 1]].mean())
        chance = float(shares[0] @ cost @ shares[1])
    return 1 - apart / chance
