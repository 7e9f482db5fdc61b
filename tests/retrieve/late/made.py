"""Token vectors with something to find in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["documents", "queries_of", "unit"]


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return rows of length 1."""
    found: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return found


def documents(count: int, dimension: int = 24, *, seed: int = 0, longest: int = 20) -> list[NDArray[np.float32]]:
    """Return documents whose tokens stand about topics of their own, as those of texts do."""
    random = np.random.default_rng(seed)
    topics = np.random.default_rng(1000).normal(size=(60, dimension))
    found = []
    for _ in range(count):
        size = int(random.integers(1, longest))
        own = topics[random.integers(0, len(topics), 3)][random.integers(0, 3, size)]
        found.append(unit(own + 0.5 * random.normal(size=(size, dimension))))
    return found


def queries_of(some: list[NDArray[np.float32]], count: int, *, seed: int = 5) -> list[NDArray[np.float32]]:
    """Return queries: tokens of one document each, moved a little."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        one = some[int(random.integers(len(some)))]
        chosen = one[random.integers(0, len(one), int(random.integers(1, 40)))]
        found.append(unit(chosen + 0.1 * random.normal(size=chosen.shape)))
    return found
