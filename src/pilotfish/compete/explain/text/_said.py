"""What a classifier says of texts, or what else is to be explained of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.explain.text.reads import Reads, contrast, logits_of

__all__ = ["said_of"]


def said_of(
    reads: Reads, texts: Sequence[str], labels: Sequence[str] | None
) -> tuple[list[int], NDArray[np.float64], NDArray[np.float64]]:
    """Return the class of each text that is explained, its probability, and its log-odds."""
    logs = logits_of(reads, texts)
    said = logs.argmax(axis=1).tolist() if labels is None else [reads.classes_.index(label) for label in labels]
    values = np.array([logs[row] @ contrast(logs.shape[1], one) for row, one in enumerate(said)])
    return said, np.exp(logs[np.arange(len(said)), said]), values
