"""What is said of the words of an answer, and from which score on it counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Judged", "best_threshold"]


@dataclass(frozen=True, eq=False)
class Judged:
    """What a detector says of an answer.

    Attributes:
        words: where its words stand, in characters.
        scores: (words,) how likely each is a fault.
    """

    words: tuple[tuple[int, int], ...]
    scores: NDArray[np.float64]

    @property
    def most(self) -> float:
        """The greatest score; 0 of an answer without words."""
        return float(self.scores.max(initial=0.0))

    def spans(self, threshold: float) -> list[tuple[int, int, float]]:
        """Return (start, end, greatest score) of runs of words from a threshold on."""
        found: list[tuple[int, int, float]] = []
        last = -2
        for at in np.flatnonzero(self.scores >= threshold).tolist():
            start, end = self.words[at]
            score = float(self.scores[at])
            if at == last + 1 and found:
                found[-1] = (found[-1][0], end, max(found[-1][2], score))
            else:
                found.append((start, end, score))
            last = at
        return found


def best_threshold(scores: NDArray[np.float64], faulty: NDArray[np.bool_]) -> float:
    """Return the score from which on what is called a fault has the greatest F1; of two the higher one."""
    if not faulty.any():
        return 1.0
    order = np.argsort(-scores, kind="stable")
    values, hits = scores[order], np.cumsum(faulty[order])
    last = np.append(values[1:] != values[:-1], True)  # equal scores are on one side
    f1 = 2 * hits / (np.arange(1, len(values) + 1) + faulty.sum())
    return float(values[last][int(np.argmax(f1[last]))])
