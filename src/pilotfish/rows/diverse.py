"""A few of many that are near to what is wanted and unlike each other: greedy choices by relevance and likeness.

Sources: Carbonell and Goldstein 1998 (MMR), maximal marginal relevance; Chen et al. 2018 (Fast Greedy MAP Inference for
Determinantal Point Process), algorithm 1, with their kernel that weighs relevance against likeness.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError

__all__ = ["determinantal", "in_turn", "marginal"]

_LEAST = 1e-10  # of a determinant's growth, below which the rest is the same as what is taken


def marginal(relevance: ArrayLike, alike: ArrayLike, count: int, weight: float = 0.7) -> list[int]:
    """Return the places taken, in order: each next one maximises weight x relevance - (1 - weight) x likeness.

    Likeness is to the nearest of those taken before, 0 for the first; of equal ones the earlier place is taken.

    Args:
        relevance: (places,).
        alike: (places, places), cosines.
        count: how many are taken, or all where there are fewer.
        weight: 1 looks at relevance alone, 0 at likeness alone.

    Raises:
        ConfigError: a weight out of range, or shapes that do not fit.
    """
    near, like = _checked(relevance, alike, weight)
    found: list[int] = []
    closest = np.zeros(len(near))
    free = np.ones(len(near), bool)
    while len(found) < min(count, len(near)):
        scores = np.where(free, weight * near - (1 - weight) * closest, -np.inf)
        best = int(scores.argmax())
        found.append(best)
        free[best] = False
        closest = like[best] if len(found) == 1 else np.maximum(closest, like[best])
    return found


def determinantal(relevance: ArrayLike, alike: ArrayLike, count: int, weight: float = 0.7) -> list[int]:
    """Return the places taken, in order, by the greedy search for the most probable set of a determinantal process.

    Its kernel is exp(a (rᵢ + rⱼ)) Sᵢⱼ with a = weight / (2 (1 - weight)), so that the logarithm of a set's determinant
    is 2a Σ r + log det S: what each adds is its relevance, and how much of it the others do not span. What they span
    wholly is not taken, so there may be fewer.

    Args:
        relevance: (places,).
        alike: (places, places), cosines: a positive semi-definite matrix with ones on the diagonal.
        count: how many are taken.
        weight: of relevance, from 0 up to, but not at, 1.

    Raises:
        ConfigError: a weight out of range, or shapes that do not fit.
    """
    near, like = _checked(relevance, alike, weight)
    if weight == 1:
        raise ConfigError("a determinantal choice weighs relevance below 1; at 1 it is the nearest alone")
    pull = weight / (1 - weight) * near
    # Cholesky's rows of the places taken, for all places; what is left of the diagonal is what a place would add.
    rows = np.zeros((min(count, len(near)), len(near)))
    left = like.diagonal().astype(np.float64).copy()
    free = np.ones(len(near), bool)
    found: list[int] = []
    while len(found) < min(count, len(near)):
        worth = np.where(free & (left > _LEAST), pull + np.log(np.maximum(left, _LEAST)), -np.inf)
        best = int(worth.argmax())
        if not np.isfinite(worth[best]):
            break
        row = (like[best] - rows[: len(found), best] @ rows[: len(found)]) / np.sqrt(left[best])
        rows[len(found)] = row
        left = left - row**2
        free[best] = False
        found.append(best)
    return found


def in_turn(order: Sequence[int], classes: Sequence[Hashable], count: int) -> list[int]:
    """Return the first of each class in turn, the class that comes first in the order first.

    Args:
        order: numbers, the most relevant first.
        classes: of every number.
        count: how many are taken.
    """
    queues: dict[Hashable, list[int]] = {}
    for one in order:
        queues.setdefault(classes[one], []).append(one)
    found: list[int] = []
    while len(found) < count and any(queues.values()):
        for queue in queues.values():
            if queue and len(found) < count:
                found.append(queue.pop(0))
    return found


def _checked(relevance: ArrayLike, alike: ArrayLike, weight: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    near, like = np.asarray(relevance, np.float64), np.asarray(alike, np.float64)
    if not 0 <= weight <= 1:
        raise ConfigError(f"the weight of relevance lies from 0 to 1, not {weight}")
    if near.ndim != 1 or like.shape != (len(near), len(near)):
        raise ConfigError(f"likeness is (places, places) for (places,) of relevance, not {like.shape} and {near.shape}")
    return near, like
