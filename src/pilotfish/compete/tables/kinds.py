"""The kinds of small model for tables, each with what may be tuned of it.

The ranges follow Gorishniy et al. 2021, appendix F, and Grinsztajn et al. 2022, appendix A.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pilotfish.compete.tables import fitters
from pilotfish.compete.tables.fitters import Fitter
from pilotfish.compete.tables.rule_lists import USUAL as RULES

__all__ = ["KINDS", "Kind", "Space", "kind_of"]


class Space(Protocol):
    """What suggests settings: an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Return a whole number."""


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        name: as reports show it.
        suggest: settings, from a trial.
        fit: (x, y, categorical columns, what is foretold, settings, seed) to a fitted model.
        usual: settings where nothing is tuned.
    """

    name: str
    suggest: Callable[[Space], dict[str, Any]]
    fit: Fitter
    usual: Mapping[str, Any]


def _boosting(trial: Space) -> dict[str, Any]:
    return {
        "rate": trial.suggest_float("rate", 0.02, 0.3, log=True),
        "rounds": trial.suggest_int("rounds", 50, 600, log=True),
        "penalty": trial.suggest_float("penalty", 1e-3, 30.0, log=True),
    }


def _leafwise(trial: Space) -> dict[str, Any]:
    return _boosting(trial) | {
        "leaves": trial.suggest_int("leaves", 4, 128, log=True),
        "least": trial.suggest_int("least", 2, 100, log=True),
    }


def _drawn(trial: Space) -> dict[str, Any]:
    return {
        "columns": trial.suggest_float("columns", 0.4, 1.0),
        "rows": trial.suggest_float("rows", 0.5, 1.0),
    }


_USUAL = {
    "rate": 0.1,
    "rounds": 150,
    "penalty": 1.0,
    "leaves": 16,
    "least": 20,
    "columns": 0.8,
    "rows": 0.9,
    "depth": 6,
}


def _usual(*names: str) -> dict[str, Any]:
    return {name: _USUAL[name] for name in names}


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "linear", lambda trial: {"c": trial.suggest_float("c", 1e-3, 100.0, log=True)}, fitters.linear, {"c": 1.0}
        ),
        Kind("histogram", _leafwise, fitters.histogram, _usual("rate", "rounds", "penalty", "leaves", "least")),
        Kind(
            "lightgbm",
            lambda trial: _leafwise(trial) | _drawn(trial),
            fitters.lightgbm,
            _usual("rate", "rounds", "penalty", "leaves", "least", "columns", "rows"),
        ),
        Kind(
            "xgboost",
            lambda trial: (
                _boosting(trial)
                | _drawn(trial)
                | {
                    "depth": trial.suggest_int("depth", 2, 10),
                    "least": trial.suggest_float("least", 0.1, 30.0, log=True),
                }
            ),
            fitters.xgboost,
            _usual("rate", "rounds", "penalty", "columns", "rows", "depth") | {"least": 1.0},
        ),
        Kind(
            "catboost",
            lambda trial: _boosting(trial) | {"depth": trial.suggest_int("depth", 3, 9)},
            fitters.catboost,
            _usual("rate", "rounds", "penalty", "depth"),
        ),
        Kind(
            "additive",
            lambda trial: {
                "rate": trial.suggest_float("rate", 0.005, 0.1, log=True),
                "pairs": trial.suggest_int("pairs", 0, 20),
                "bins": trial.suggest_int("bins", 32, 512, log=True),
                "bags": 4,
            },
            fitters.additive,
            {"rate": 0.02, "pairs": 10, "bins": 256, "bags": 4},
        ),
        Kind(
            "rules",
            lambda trial: {
                "rules": trial.suggest_int("rules", 3, 16, log=True),
                "width": trial.suggest_int("width", 1, 3),
                "least": trial.suggest_float("least", 0.003, 0.05, log=True),
            },
            fitters.rules,
            RULES,
        ),
    )
}


def kind_of(name: str) -> Kind:
    """Return a kind by its name.

    Raises:
        ConfigError: there is none.
    """
    from pilotfish.errors import ConfigError, did_you_mean

    if name not in KINDS:
        raise ConfigError(f"no kind of model for tables is called {name!r}{did_you_mean(name, KINDS)}")
    return KINDS[name]
