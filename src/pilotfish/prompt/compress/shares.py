"""From what units are worth to the order they are kept in, so that stretches keep the shares that they are to keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["keeps", "priorities", "shares_of"]


def keeps(values: NDArray[np.float64], weights: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which units of one group are kept at their shares: the best, as long as their weights fit. (units,)."""
    return _places(values, weights) <= shares


def priorities(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    shares: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Return the order of units, the larger the sooner kept: (units,).

    A unit's place in its group, from 0 (the best) to 1 by weight, is divided by its share. Units in the order of these
    quotients keep all groups' shares in proportion, whatever the budget turns out to be; all at once at quotient 1.

    Args:
        values: (units,) compared within a group.
        weights: (units,) about how many tokens.
        shares: (units,) of what is to be kept.
        groups: (units,) numbers; None is one group.
    """
    if groups is None:
        return -_places(values, weights) / shares
    found = np.zeros(len(values))
    for group in np.unique(groups):
        at = groups == group
        found[at] = -_places(values[at], weights[at]) / shares[at]
    return found


def shares_of(ranks: NDArray[np.int64], rate: float, spread: float) -> NDArray[np.float64]:
    """Return the share that each document keeps: more of the better ones.

    Source: Jiang et al. 2024 (LongLLMLingua), section 4.4, equation 5: max(min((1 − 2 I(r) / K) δ + τ, 1), 0), but not
    nothing.

    Args:
        ranks: (documents,) 0 is the best.
        rate: τ, of all together.
        spread: δ.
    """
    found = (1 - 2 * ranks / max(1, len(ranks))) * spread + rate
    return np.clip(found, min(0.01, rate), 1.0)


def _places(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each unit's place, from 0 to 1: the weight of what comes before it and of half of itself, best first."""
    order = np.lexsort((np.arange(len(values)), -values))
    sums = np.cumsum(weights[order]) - weights[order] / 2
    found = np.empty(len(values))
    found[order] = sums / max(float(weights.sum()), 1e-12)
    return found
