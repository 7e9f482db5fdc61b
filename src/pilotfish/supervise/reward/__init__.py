"""A small reward model from preferences, and the best of several answers by it."""

from __future__ import annotations

from pilotfish.models.best_of import BestOfN
from pilotfish.supervise.reward.curve import best_of_curve
from pilotfish.train.reward import Pair, RewardModel

__all__ = ["BestOfN", "Pair", "RewardModel", "best_of_curve"]
