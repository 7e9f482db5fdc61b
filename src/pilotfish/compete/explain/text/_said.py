"""What a classifier says of texts, or what else is to be explained of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.explain.text.reads import Reads, contrast, logits_of

__all__ = ["Said", "said_of"]


class Said(NamedTuple):
    """Of each text the class that is explained, its probability, its log-odds, and all log-probabilities."""

    codes: list[int]
    probabilities: NDArray[np.float64]
    values: NDArray[np.float64]
    logs: NDArray[np.float64]


def said_of(reads: Reads, texts: Sequence[str], labels: Sequence[str] | None) -> Said:
    """Return what is said, or with `labels` what is asked about."""
    logs = logits_of(reads, texts)
    codes = logs.argmax(axis=1).tolist() if labels is None else [reads.classes_.index(label) for label in labels]
    values = np.array([logs[row] @ contrast(logs.shape[1], one) for row, one in enumerate(codes)])
    return Said(codes, np.exp(logs[np.arange(len(codes)), codes]), values, logs)
