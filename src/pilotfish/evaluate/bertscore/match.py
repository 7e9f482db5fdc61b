"""Greedy matching of two texts' tokens by the cosine of their states.

Source: Zhang et al. 2020 (BERTScore), section 3: R = mean over the reference's tokens of the largest x_i . y_j over the
candidate's; P the other way round; F their harmonic mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.evaluate.states import States

__all__ = ["Match", "matched"]


@dataclass(frozen=True)
class Match:
    """How far two texts say the same.

    Attributes:
        precision: of the candidate's tokens.
        recall: of the reference's tokens.
        candidate: (tokens,) the cosine of each with the nearest token of the reference.
        reference: (tokens,) likewise.
    """

    precision: float
    recall: float
    candidate: NDArray[np.float32]
    reference: NDArray[np.float32]

    @property
    def f1(self) -> float:
        """2 P R / (P + R); 0 where both are, or their sum is not above 0."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both > 0 else 0.0


def matched(candidate: States, reference: States, weights: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Match:
    """Match a candidate's tokens with a reference's; added tokens can be what another is nearest to.

    Args:
        candidate: its states.
        reference: its states.
        weights: of the tokens of both; those of each sum to 1, or are all 0 where the text is empty.
    """
    near = candidate.vectors @ reference.vectors.T
    one, other = near.max(dim=1).values.numpy(), near.max(dim=0).values.numpy()
    if candidate.empty or reference.empty:
        return Match(0.0, 0.0, one, other)
    return Match(float(weights[0] @ one), float(weights[1] @ other), one, other)
