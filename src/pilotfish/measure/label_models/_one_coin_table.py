"""Tables of sources that are right with one probability, whatever the class, and err evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["one_coin_table"]

# The nearest that an accuracy comes to 0 or 1, so that no source is believed without end.
SURE = 1e-6


def one_coin_table(accuracy: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Return (..., true classes, voted classes) from accuracies of any shape (...)."""
    right = np.clip(accuracy, SURE, 1 - SURE)[..., None, None]
    return np.where(np.eye(classes, dtype=np.bool_), right, (1 - right) / (classes - 1))
