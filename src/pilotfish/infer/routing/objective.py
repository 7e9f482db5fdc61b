"""Which model is worth asking, given what each would be worth and cost: three ways to say it.

Sources: quality less λ times cost: Hu et al. 2024 (RouterBench), section 3.1; a bound on the mean cost, with λ its
multiplier: Ding et al. 2024 (Hybrid LLM), section 3, and any text on Lagrangian relaxation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pilotfish.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AtLeast", "AtMost", "Objective", "Trade", "lambda_for"]


class Objective(Protocol):
    """Chooses a model for each request."""

    def choose(self, quality: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return (rows,) the column to ask, from (rows, models) foretold quality and cost in dollars."""


@dataclass(frozen=True)
class Trade:
    """The most quality less `price` times the cost: what one unit of quality is worth, in dollars, is 1 / `price`."""

    price: float = 0.0

    def __post_init__(self) -> None:
        if not self.price >= 0:
            raise ConfigError(f"the price of a dollar in quality is 0 or more, not {self.price}")

    def choose(self, quality: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the best column; of equals the cheapest."""
        worth = quality if self.price == 0 else quality - self.price * _known(cost)
        return _cheapest(cost, worth >= worth.max(axis=1, keepdims=True) - 1e-12)


@dataclass(frozen=True)
class AtLeast:
    """The cheapest model whose foretold quality reaches a bound; the best one where none does."""

    quality: float

    def choose(self, quality: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the column."""
        enough = quality >= self.quality
        best = quality >= quality.max(axis=1, keepdims=True)
        return _cheapest(_known(cost), np.where(enough.any(axis=1, keepdims=True), enough, best))


@dataclass(frozen=True)
class AtMost:
    """The best model whose foretold cost, in dollars a request, keeps a bound; the cheapest where none does."""

    cost: float

    def choose(self, quality: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the column."""
        cost = _known(cost)
        within = cost <= self.cost
        within = np.where(within.any(axis=1, keepdims=True), within, cost <= cost.min(axis=1, keepdims=True))
        worth = np.where(within, quality, -np.inf)
        return _cheapest(cost, worth >= worth.max(axis=1, keepdims=True))


def lambda_for(
    quality: NDArray[np.float64], cost: NDArray[np.float64], spent: NDArray[np.float64], budget: float
) -> float:
    """Return the least price at which `Trade` keeps a mean cost, on rows that taught the router nothing.

    Args:
        quality: (rows, models) foretold.
        cost: (rows, models) foretold, dollars.
        spent: (rows, models) what the answers did cost.
        budget: the mean cost a request that may be spent.

    Raises:
        DataError: even the cheapest choice costs more.
    """
    rows = np.arange(len(quality))

    def mean(price: float) -> float:
        return float(spent[rows, Trade(price).choose(quality, cost)].mean())

    if mean(0.0) <= budget:
        return 0.0
    low, high = 0.0, 1.0
    while mean(high) > budget:
        low, high = high, high * 4
        if high > 1e15:
            raise DataError(f"no choice costs as little as {budget:g} dollars a request: the least is {mean(high):g}")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if mean(middle) > budget else (low, middle)
    return high


def _known(cost: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.isnan(cost).any():
        raise DataError("the router knows no cost of some models: fit it on outcomes with costs, or give prices")
    return cost


def _cheapest(cost: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first of the cheapest columns among some; a cost that is not known counts as the highest."""
    priced = np.where(among, np.where(np.isnan(cost), np.finfo(np.float64).max, cost), np.inf)
    first: NDArray[np.int64] = priced.argmin(axis=1).astype(np.int64)
    return first
