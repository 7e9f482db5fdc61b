"""What a column adds, by its value: of an additive model its function, of any other the mean of what rows show.

Sources: shape functions: Lou et al. 2012; dependence by Shapley values: Lundberg et al. 2020, section 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.explain.columns import Explained
from pilotfish.compete.tables.model import TableModel
from pilotfish.models._table import Table
from pilotfish.models.additive import Additive, Term

__all__ = ["Shape", "dependence", "shape_of"]

Floats = NDArray[np.float64]
_GROUPS, _CATEGORIES = 20, 12


@dataclass(frozen=True)
class Shape:
    """A column's curve.

    Attributes:
        column: its name.
        values: numbers in rising order, or categories' names; of numbers NaN is never among them.
        adds: what each adds, in log-odds or the target's unit.
        spread: (low, high) between which nine tenths of the rows with such a value lie; none of a function.
        rows: that have such a value.
        missing: what a missing value adds; None where none is.
        exact: whether it is the model's own function.
    """

    column: str
    values: tuple[float, ...] | tuple[str, ...]
    adds: tuple[float, ...]
    spread: tuple[tuple[float, float], ...]
    rows: tuple[int, ...]
    missing: float | None
    exact: bool

    @property
    def categories(self) -> bool:
        """Whether values are names."""
        return bool(self.values) and isinstance(self.values[0], str)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "column": self.column,
            "values": list(self.values),
            "adds": list(self.adds),
            "spread": [list(pair) for pair in self.spread],
            "rows": list(self.rows),
            "missing": self.missing,
            "exact": self.exact,
        }


def shape_of(model: TableModel, told: Explained, x: Floats, column: int, output: int = 0) -> Shape:
    """Return a column's curve: of an additive model the column's own function, of any other what rows show.

    What an additive model's functions of two columns add is no part of the curve.

    Args:
        model: of the table.
        told: what columns add to rows.
        x: these rows.
        column: its place.
        output: which of `told.outputs`.
    """
    inner = model.inner
    if isinstance(inner, Additive):
        own = [term for term in inner.terms if term.columns == (column,)]
        if len(own) == 1:
            return _function(model.table, own[0], x, output)
    return dependence(model.table, told, x, column, output)


def dependence(table: Table, told: Explained, x: Floats, column: int, output: int = 0) -> Shape:
    """Return what a column adds to rows, by its value: means of twenty groups of numbers, or of common categories.

    Args:
        table: of the columns.
        told: what columns add to rows.
        x: these rows.
        column: its place.
        output: which of `told.outputs`.
    """
    name, values, adds = told.columns[column], x[:, column], told.shares[:, column, output]
    missing = np.isnan(values)
    absent = float(adds[missing].mean()) if missing.any() else None
    groups = _groups(values, name in table.codes)
    shown = _names(table, name, [float(values[own].mean()) for own in groups])
    return Shape(
        name,
        shown,
        tuple(float(adds[own].mean()) for own in groups),
        tuple((float(a), float(b)) for a, b in (np.quantile(adds[own], (0.05, 0.95)) for own in groups)),
        tuple(len(own) for own in groups),
        absent,
        False,
    )


def _groups(values: Floats, categories: bool) -> list[NDArray[np.int64]]:
    known = np.flatnonzero(~np.isnan(values))
    codes, which, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    if categories:
        common = np.sort(np.argsort(-counts, kind="stable")[:_CATEGORIES])
        return [known[which == code] for code in common.tolist()]
    if len(codes) <= _GROUPS:
        return [known[which == code] for code in range(len(codes))]
    edges = np.unique(np.quantile(values[known], np.arange(1, _GROUPS) / _GROUPS))
    place = np.searchsorted(edges, values[known], side="left")
    return [known[place == one] for one in np.unique(place).tolist()]


def _names(table: Table, column: str, values: list[float]) -> tuple[float, ...] | tuple[str, ...]:
    if column not in table.codes:
        return tuple(values)
    known = {code: name for name, code in table.codes[column].items()}
    return tuple(str(known.get(round(one), f"{one:g}")) for one in values)


def _function(table: Table, term: Term, x: Floats, output: int) -> Shape:
    (bins,) = term.bins
    column, name = bins.column, table.columns[bins.column]
    places = bins.places(x)
    if bins.cuts is not None:
        known = x[~np.isnan(x[:, column]), column]
        low = float(min(known.min(initial=np.inf), bins.cuts.min(initial=np.inf)))
        high = float(max(known.max(initial=-np.inf), bins.cuts.max(initial=-np.inf)))
        ends = np.concatenate([[low], bins.cuts, [high]]) if len(bins.cuts) else np.array([low, high])
        values: list[float] = ((ends[1:] + ends[:-1]) / 2).tolist()
        slots = list(range(1, len(bins.cuts) + 2))
    else:
        assert bins.codes is not None
        values = [float(code) for code in np.flatnonzero(bins.codes)[:_CATEGORIES]]
        slots = [int(bins.codes[int(code)]) for code in values]
    absent = float(term.scores[0, output]) if (places == 0).any() else None
    return Shape(
        name,
        _names(table, name, values),
        tuple(float(term.scores[slot, output]) for slot in slots),
        (),
        tuple(int((places == slot).sum()) for slot in slots),
        absent,
        True,
    )
