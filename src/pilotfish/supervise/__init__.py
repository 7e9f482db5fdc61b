"""Supervision: small models that align large ones, and many small sources that make one label.

Votes and label models stand in `pilotfish.measure`, reward models in `pilotfish.train`: judges need them too.
"""

from __future__ import annotations

from pilotfish.measure.label_models import (
    BayesianEnsemble,
    CoSupervised,
    DataProgramming,
    DawidSkene,
    Glad,
    LabelModel,
    Mace,
    Majority,
    OneCoin,
    SoftEnsemble,
    Weighted,
    kind_of,
)
from pilotfish.measure.votes import Votes
from pilotfish.supervise.align import Nudged, RewardGuided, WeakToStrongSearch

__all__ = [
    "BayesianEnsemble",
    "CoSupervised",
    "DataProgramming",
    "DawidSkene",
    "Glad",
    "LabelModel",
    "Mace",
    "Majority",
    "Nudged",
    "OneCoin",
    "RewardGuided",
    "SoftEnsemble",
    "Votes",
    "WeakToStrongSearch",
    "Weighted",
    "kind_of",
]
