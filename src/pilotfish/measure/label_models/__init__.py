"""Label models: from many sources' votes on rows to one probability a class and row."""

from __future__ import annotations

from pilotfish.measure.label_models.base import LabelModel
from pilotfish.measure.label_models.bayesian_ensemble import BayesianEnsemble
from pilotfish.measure.label_models.co_supervised import CoSupervised
from pilotfish.measure.label_models.data_programming import DataProgramming
from pilotfish.measure.label_models.dawid_skene import DawidSkene
from pilotfish.measure.label_models.glad import Glad
from pilotfish.measure.label_models.kinds import KINDS, kind_of
from pilotfish.measure.label_models.mace import Mace
from pilotfish.measure.label_models.majority import Majority
from pilotfish.measure.label_models.one_coin import OneCoin
from pilotfish.measure.label_models.soft_ensemble import SoftEnsemble
from pilotfish.measure.label_models.weighted import Weighted

__all__ = [
    "KINDS",
    "BayesianEnsemble",
    "CoSupervised",
    "DataProgramming",
    "DawidSkene",
    "Glad",
    "LabelModel",
    "Mace",
    "Majority",
    "OneCoin",
    "SoftEnsemble",
    "Weighted",
    "kind_of",
]
