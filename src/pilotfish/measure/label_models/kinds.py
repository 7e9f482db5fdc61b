"""The label models by the word that a file names them by."""

from __future__ import annotations

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.measure.label_models.base import LabelModel
from pilotfish.measure.label_models.bayesian_ensemble import BayesianEnsemble
from pilotfish.measure.label_models.co_supervised import CoSupervised
from pilotfish.measure.label_models.data_programming import DataProgramming
from pilotfish.measure.label_models.dawid_skene import DawidSkene
from pilotfish.measure.label_models.glad import Glad
from pilotfish.measure.label_models.mace import Mace
from pilotfish.measure.label_models.majority import Majority
from pilotfish.measure.label_models.one_coin import OneCoin
from pilotfish.measure.label_models.soft_ensemble import SoftEnsemble
from pilotfish.measure.label_models.weighted import Weighted

__all__ = ["KINDS", "kind_of"]

_ALL: tuple[type[LabelModel], ...] = (
    Majority,
    Weighted,
    DawidSkene,
    OneCoin,
    Glad,
    Mace,
    DataProgramming,
    CoSupervised,
    BayesianEnsemble,
    SoftEnsemble,
)
KINDS: dict[str, type[LabelModel]] = {one.kind: one for one in _ALL}


def kind_of(word: str) -> type[LabelModel]:
    """Return the label model of that name.

    Raises:
        ConfigError: there is none.
    """
    if word not in KINDS:
        raise ConfigError(f"no label model {word!r}{did_you_mean(word, KINDS)}")
    return KINDS[word]
