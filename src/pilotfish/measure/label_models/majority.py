"""Majority vote: every source counts the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pilotfish.measure.label_models.base import LabelModel
from pilotfish.measure.votes import Votes

__all__ = ["Majority"]


class Majority(LabelModel):
    """The share of the votes that each class has; of soft votes, their mean. Learns nothing of the sources."""

    kind = "majority"

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> NDArray[np.float64]:
        found = self._posterior(votes)
        self.prior_ = found[votes.voted].mean(axis=0)
        return found

    def _posterior(self, votes: Votes) -> NDArray[np.float64]:
        return np.asarray(votes.counts / np.maximum(votes.counts.sum(axis=1, keepdims=True), 1e-300))
