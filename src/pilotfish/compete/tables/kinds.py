"""The kinds of small model for tables, each with what may be tuned of it and the trees or weights that it comes to.

Sources: Chen and Guestrin 2016 (XGBoost); Ke et al. 2017 (LightGBM); Prokhorenkova et al. 2018 (CatBoost); Lou et al.
2013 and Nori et al. 2019 (explainable boosting); the ranges follow Gorishniy et al. 2021, appendix F, and Grinsztajn et
al. 2022, appendix A.3.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.tables.catboost_file import CatBoostFile, as_catboost
from pilotfish.compete.tables.linear import Encoded, Linear
from pilotfish.compete.tables.rule_lists import USUAL as RULES
from pilotfish.compete.tables.rule_lists import learnt
from pilotfish.models._trees import grown
from pilotfish.models.additive import from_interpret
from pilotfish.models.forest import from_lightgbm, from_sklearn, from_xgboost

if TYPE_CHECKING:
    from pilotfish.compete.tables.task import Kind as Task
    from pilotfish.models.forest.forest import Link

__all__ = ["KINDS", "Fitted", "Kind", "Space", "kind_of"]

Floats = NDArray[np.float64]


class Space(Protocol):
    """What suggests settings: an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Return a whole number."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model of a table.

    Attributes:
        kept: what answers rows and is kept: trees as our arrays, tables, weights, or the library's own.
        model: the library's own.
    """

    kept: Any
    model: Any

    def predict(self, x: Floats) -> Floats:
        """Return probabilities (rows, classes), or numbers (rows,)."""
        return np.asarray(self.kept.predict(x))


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
    fit: Callable[[Floats, Floats, Sequence[int], Task, Mapping[str, Any], int], Fitted]
    usual: Mapping[str, Any]


def _linear(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    """One number a category, missing ones noted, numbers standardised; logistic or ridge regression."""
    linear = need("sklearn.linear_model", "tables")
    encoded = Encoded.of(x, categorical)
    if task == "number":
        model = linear.Ridge(alpha=1 / settings["c"]).fit(encoded(x), y)
        return Fitted(Linear(encoded, np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_), "identity"), model)
    model = linear.LogisticRegression(C=settings["c"], max_iter=500).fit(encoded(x), y.astype(int))
    link: Link = "sigmoid" if len(model.classes_) == 2 else "softmax"
    return Fitted(Linear(encoded, model.coef_, model.intercept_, link), model)


def _histogram(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    ensemble = need("sklearn.ensemble", "tables")
    # It takes 255 categories a column; a column of more goes by its codes, the commonest first.
    own = [i for i in categorical if np.nanmax(x[:, i], initial=0) < 255]
    kind = ensemble.HistGradientBoostingRegressor if task == "number" else ensemble.HistGradientBoostingClassifier
    model = kind(
        learning_rate=settings["rate"],
        max_iter=settings["rounds"],
        max_leaf_nodes=settings["leaves"],
        min_samples_leaf=settings["least"],
        l2_regularization=settings["penalty"],
        categorical_features=own or None,
        early_stopping=False,
        random_state=seed,
    )
    grown(model, x, y if task == "number" else y.astype(int))
    return Fitted(from_sklearn(model, x.shape[1]), model)


def _lightgbm(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    library = need("lightgbm", "tables")
    kind = library.LGBMRegressor if task == "number" else library.LGBMClassifier
    model = kind(
        learning_rate=settings["rate"],
        n_estimators=settings["rounds"],
        num_leaves=settings["leaves"],
        min_child_samples=settings["least"],
        reg_lambda=settings["penalty"],
        colsample_bytree=settings["columns"],
        subsample=settings["rows"],
        subsample_freq=1,
        random_state=seed,
        n_jobs=1,
        verbose=-1,
    ).fit(x, y if task == "number" else y.astype(int), categorical_feature=list(categorical))
    return Fitted(from_lightgbm(model.booster_), model)


def _xgboost(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    library = need("xgboost", "tables")
    kind = library.XGBRegressor if task == "number" else library.XGBClassifier
    model = kind(
        learning_rate=settings["rate"],
        n_estimators=settings["rounds"],
        max_depth=settings["depth"],
        min_child_weight=settings["least"],
        reg_lambda=settings["penalty"],
        colsample_bytree=settings["columns"],
        subsample=settings["rows"],
        enable_categorical=True,
        feature_types=["c" if i in set(categorical) else "q" for i in range(x.shape[1])],
        tree_method="hist",
        random_state=seed,
        n_jobs=1,
    ).fit(x, y if task == "number" else y.astype(int))
    return Fitted(from_xgboost(model.get_booster()), model)


def _catboost(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    library = need("catboost", "tables")
    kind = library.CatBoostRegressor if task == "number" else library.CatBoostClassifier
    model = kind(
        learning_rate=settings["rate"],
        iterations=settings["rounds"],
        depth=settings["depth"],
        l2_leaf_reg=settings["penalty"],
        random_seed=seed,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        cat_features=list(categorical),
    )
    model.fit(as_catboost(categorical)(x), y if task == "number" else y.astype(int))
    return Fitted(CatBoostFile(model, tuple(categorical), task == "number"), model)


def _additive(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    library = need("interpret.glassbox", "tables")
    kind = library.ExplainableBoostingRegressor if task == "number" else library.ExplainableBoostingClassifier
    model = kind(
        learning_rate=settings["rate"],
        interactions=settings["pairs"],
        max_bins=settings["bins"],
        outer_bags=settings["bags"],
        feature_types=["nominal" if i in set(categorical) else "continuous" for i in range(x.shape[1])],
        random_state=seed,
        n_jobs=1,
    )
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # That its own plots leave out what is missing; ours do not.
        warnings.filterwarnings("ignore", "Missing values detected", UserWarning)
        model.fit(x, y if task == "number" else y.astype(int))
    return Fitted(from_interpret(model, x.shape[1]), model)


def _rules(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    model = learnt(x, y, categorical, number=task == "number", settings=settings, seed=seed)
    return Fitted(model, model)


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
        Kind("linear", lambda trial: {"c": trial.suggest_float("c", 1e-3, 100.0, log=True)}, _linear, {"c": 1.0}),
        Kind("histogram", _leafwise, _histogram, _usual("rate", "rounds", "penalty", "leaves", "least")),
        Kind(
            "lightgbm",
            lambda trial: _leafwise(trial) | _drawn(trial),
            _lightgbm,
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
            _xgboost,
            _usual("rate", "rounds", "penalty", "columns", "rows", "depth") | {"least": 1.0},
        ),
        Kind(
            "catboost",
            lambda trial: _boosting(trial) | {"depth": trial.suggest_int("depth", 3, 9)},
            _catboost,
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
            _additive,
            {"rate": 0.02, "pairs": 10, "bins": 256, "bags": 4},
        ),
        Kind(
            "rules",
            lambda trial: {
                "rules": trial.suggest_int("rules", 3, 16, log=True),
                "width": trial.suggest_int("width", 1, 3),
                "least": trial.suggest_float("least", 0.003, 0.05, log=True),
            },
            _rules,
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
