"""What each column adds to what a table's model says of a row, exactly.

Of trees these are Shapley values (Lundberg et al. 2020); of an additive model its own functions, those of two columns
shared by both alike, which is their Shapley value for a function that has a mean of nought; of a linear model weight
times deviation. Of any other model they are Shapley values by orders that are drawn, beside other rows. Adding up is a
property of each, and the residual of it is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.explain.sampled import sampled
from pilotfish.compete.tables.linear import Linear
from pilotfish.compete.tables.model import TableModel
from pilotfish.errors import ModelError
from pilotfish.models.additive import Additive
from pilotfish.models.forest import Forest

__all__ = ["Explained", "explained", "toward"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Explained:
    """What columns add.

    Attributes:
        columns: their names.
        outputs: what the sums are of: classes, or the target. Of two classes the second alone, in log-odds.
        base: (outputs,) what they add to.
        shares: (rows, columns, outputs), in log-odds, or in the target's own unit.
        residual: the largest gap between base and shares together and what the model says.
        exact: whether the shares are what they are called, not an estimate from draws.
    """

    columns: tuple[str, ...]
    outputs: tuple[str, ...]
    base: Floats
    shares: Floats
    residual: float
    exact: bool = True

    def importance(self) -> Floats:
        """Return the mean size of what each column adds: (columns,); over rows and outputs."""
        return np.asarray(np.abs(self.shares).mean(axis=(0, 2)))

    def ranked(self, row: int, output: int = 0) -> list[tuple[str, float]]:
        """Return a row's columns with what each adds to an output, the largest in size first."""
        own = self.shares[row, :, output]
        return [(self.columns[i], float(own[i])) for i in np.argsort(-np.abs(own), kind="stable")]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the rows as plain data."""
        return {
            "columns": list(self.columns),
            "outputs": list(self.outputs),
            "base": self.base.tolist(),
            "importance": self.importance().tolist(),
            "residual": self.residual,
            "exact": self.exact,
        }


def explained(model: TableModel, x: Floats, background: Floats | None = None, *, seed: int = 0) -> Explained:
    """Return what each column adds to what a model says of rows.

    Args:
        model: of trees, additive or linear; any other beside a background.
        x: (rows, columns), as `model.table.matrix` gives them.
        background: (other rows, columns), for models that are no sum and no trees: rule lists, CatBoost's own.
        seed: of what is drawn for these.

    Raises:
        ModelError: such a model, without a background.
    """
    inner = model.inner
    exact = True
    if isinstance(inner, Forest):
        shares, base = inner.shares(x)
        raw = inner.raw(x)
    elif isinstance(inner, Additive):
        shares, base, raw = _additive(inner, x), inner.base, inner.raw(x)
    elif isinstance(inner, Linear):
        shares, base, raw = _linear(inner, x)
    elif background is not None:
        exact = False
        shares, base = sampled(lambda rows: _strength(model, rows), x, background, seed=seed)
        raw = _strength(model, x)
    else:
        raise ModelError(f"what each column adds is not known of a {type(inner).__name__}")
    whole = base + shares.sum(axis=1)
    residual = float(np.abs(whole - raw).max()) if len(x) else 0.0
    outputs = (model.classes[1],) if len(base) == 1 and model.classes else model.classes or ("the number",)
    return Explained(model.table.columns, outputs, np.asarray(base), shares, residual, exact)


def _strength(model: TableModel, x: Floats) -> Floats:
    """Return numbers, log-odds of the second of two classes, or log-probabilities less their mean: (rows, outputs)."""
    told = model.inner.predict(x)
    if told.ndim == 1:
        return told[:, None]
    logs = np.log(np.maximum(told, 1e-6))
    return np.asarray(logs[:, 1:] - logs[:, :1] if told.shape[1] == 2 else logs - logs.mean(axis=1, keepdims=True))


def toward(told: Explained, said: NDArray[np.int64]) -> Floats:
    """Return (rows, columns) what columns add for the class that is said of each row, against the mean of the others.

    Of a number it is the size of what they add.
    """
    if told.outputs == ("the number",):
        return np.abs(told.shares[:, :, 0])
    if told.shares.shape[2] == 1:
        return np.asarray(told.shares[:, :, 0] * np.where(said == 1, 1.0, -1.0)[:, None])
    own = told.shares[np.arange(len(said)), :, said]
    return np.asarray(own - (told.shares.sum(axis=2) - own) / (told.shares.shape[2] - 1))


def _additive(model: Additive, x: Floats) -> Floats:
    found = np.zeros((len(x), model.columns, len(model.base)))
    adds = model.contributions(x)
    for number, term in enumerate(model.terms):
        for column in term.columns:
            found[:, column] += adds[:, number] / len(term.columns)
    return found


def _linear(model: Linear, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return shares of each column: of its features' weights together, from the mean of the rows that were learnt."""
    encoded, features = model.encoded, model.encoded(x)
    owners = np.concatenate(
        [encoded.numeric, encoded.numeric[encoded.missing], np.repeat(encoded.categorical, encoded.sizes)]
    ).astype(np.int64)
    adds = features[:, :, None] * model.coef.T[None]  # (rows, features, outputs)
    found = np.zeros((len(x), int(max(owners, default=-1)) + 1, len(model.intercept)))
    for feature, column in enumerate(owners.tolist()):
        found[:, column] += adds[:, feature]
    raw = features @ model.coef.T + model.intercept
    return found, np.asarray(model.intercept), raw
