"""Fitting a table's small models, one function a kind, all of them in one thread: many are fitted side by side.

Sources: Chen and Guestrin 2016 (XGBoost); Ke et al. 2017 (LightGBM); Prokhorenkova et al. 2018 (CatBoost); Lou et al.
2013 and Nori et al. 2019 (explainable boosting).
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.tables.catboost_file import CatBoostFile, as_catboost
from pilotfish.compete.tables.linear import Encoded, Linear
from pilotfish.compete.tables.rule_lists import learnt
from pilotfish.models._trees import grown
from pilotfish.models.additive import from_interpret
from pilotfish.models.forest import from_lightgbm, from_sklearn, from_xgboost

if TYPE_CHECKING:
    from pilotfish.compete.tables.task import Kind as Task
    from pilotfish.models.forest.forest import Link

__all__ = ["Fitted", "Fitter", "additive", "catboost", "histogram", "lightgbm", "linear", "rules", "xgboost"]

Floats = NDArray[np.float64]


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


# (x, y, categorical columns, what is foretold, settings, seed) to a fitted model.
Fitter = Callable[[Floats, Floats, Sequence[int], "Task", Mapping[str, Any], int], Fitted]


def linear(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    """One number a category, missing ones noted, numbers standardised; logistic or ridge regression."""
    library = need("sklearn.linear_model", "tables")
    encoded = Encoded.of(x, categorical)
    if task == "number":
        model = library.Ridge(alpha=1 / settings["c"]).fit(encoded(x), y)
        return Fitted(Linear(encoded, np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_), "identity"), model)
    model = library.LogisticRegression(C=settings["c"], max_iter=500).fit(encoded(x), y.astype(int))
    link: Link = "sigmoid" if len(model.classes_) == 2 else "softmax"
    return Fitted(Linear(encoded, model.coef_, model.intercept_, link), model)


def histogram(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    """scikit-learn's histogram gradient boosting; it reads missing values as they are."""
    ensemble = need("sklearn.ensemble", "tables")
    # It takes 255 categories a column; a column of more goes by its codes, the commonest first.
    own = [i for i in categorical if np.nanmax(x[:, i], initial=0) < 255]
    model = _of(ensemble, "HistGradientBoosting", task)(
        learning_rate=settings["rate"],
        max_iter=settings["rounds"],
        max_leaf_nodes=settings["leaves"],
        min_samples_leaf=settings["least"],
        l2_regularization=settings["penalty"],
        categorical_features=own or None,
        early_stopping=False,
        random_state=seed,
    )
    grown(model, x, _told(y, task))
    return Fitted(from_sklearn(model, x.shape[1]), model)


def lightgbm(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    """LightGBM, with its own handling of categories."""
    library = need("lightgbm", "tables")
    model = _of(library, "LGBM", task)(
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
    ).fit(x, _told(y, task), categorical_feature=list(categorical))
    return Fitted(from_lightgbm(model.booster_), model)


def xgboost(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    """XGBoost by histograms, with its own handling of categories."""
    library = need("xgboost", "tables")
    model = _of(library, "XGB", task)(
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
    ).fit(x, _told(y, task))
    return Fitted(from_xgboost(model.get_booster()), model)


def catboost(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    """CatBoost; categories by statistics of what is foretold."""
    library = need("catboost", "tables")
    model = _of(library, "CatBoost", task)(
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
    model.fit(as_catboost(categorical)(x), _told(y, task))
    return Fitted(CatBoostFile(model, tuple(categorical), task == "number"), model)


def additive(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    """An explainable boosting machine: a table a column, and one for each of a few pairs."""
    library = need("interpret.glassbox", "tables")
    model = _of(library, "ExplainableBoosting", task)(
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
        model.fit(x, _told(y, task))
    return Fitted(from_interpret(model, x.shape[1]), model)


def rules(
    x: Floats, y: Floats, categorical: Sequence[int], task: Task, settings: Mapping[str, Any], seed: int
) -> Fitted:
    """A list of rules, read from the first to the last."""
    model = learnt(x, y, categorical, number=task == "number", settings=settings, seed=seed)
    return Fitted(model, model)


def _of(library: Any, name: str, task: Task) -> Any:
    """Return the library's class for numbers or for classes."""
    return getattr(library, name + ("Regressor" if task == "number" else "Classifier"))


def _told(y: Floats, task: Task) -> Any:
    """Return what is foretold as libraries want it: classes as whole numbers."""
    return y if task == "number" else y.astype(int)
