"""Boosted trees of any library as one kind of arrays: saved without pickle, walked by a few lines of C."""

from pilotfish.models.forest.forest import Forest
from pilotfish.models.forest.grown import from_lightgbm, from_sklearn, from_xgboost

__all__ = ["Forest", "from_lightgbm", "from_sklearn", "from_xgboost"]
