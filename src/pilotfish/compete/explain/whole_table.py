"""A model of a table, explained whole: what counts, single rows, whether that is true, and what transparency costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.explain.changes import Change, changes
from pilotfish.compete.explain.columns import Explained, explained, toward
from pilotfish.compete.explain.faithful import Faithful, faithful
from pilotfish.compete.explain.price import Price, prices
from pilotfish.compete.explain.rivals import is_transparent, targets_of
from pilotfish.compete.explain.shapes import Shape, shape_of
from pilotfish.compete.explain.stable import Stability, stability
from pilotfish.compete.tables.measured import MEASURES
from pilotfish.compete.tables.model import TableModel
from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Row

__all__ = ["OneRow", "TableWhole", "explain_table"]

Floats = NDArray[np.float64]
_SHAPES = 6


@dataclass(frozen=True, eq=False)
class OneRow:
    """A row that is shown.

    Attributes:
        row: its values.
        said: the class or the number.
        probability: of that; None of a number.
        truth: what the target's column says, where that is known.
        adds: (column, what it adds for what is said; of a number to it), the largest in size first.
        wanted: the class that was looked for.
        change: what would make the model say that; None where nothing was looked for.
        others: what columns of the change hold then, in words.
    """

    row: Row
    said: str
    probability: float | None
    truth: str | None
    adds: tuple[tuple[str, float], ...]
    wanted: str | None = None
    change: Change | None = None
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class TableWhole:
    """All that is known of a model.

    Attributes:
        name: of the model.
        model: it.
        told: what columns add to the rows that were drawn.
        rows: how many there were to draw from.
        shapes: curves of the columns that count most.
        shown: single rows.
        faithful: whether the explanations are.
        stability: whether they stay when it is taught anew; None where no such model was given.
        prices: what transparency costs; none where the truth, or a model to compare with, is not known.
        rivals: name -> how stable a transparent model is.
    """

    name: str
    model: TableModel
    told: Explained
    rows: int
    shapes: tuple[Shape, ...]
    shown: tuple[OneRow, ...]
    faithful: Faithful
    stability: Stability | None
    prices: tuple[Price, ...]
    rivals: Mapping[str, Stability] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "name": self.name,
            "kind": type(self.model.inner).__name__,
            "rows": self.rows,
            "explained": self.told.to_json(),
            "shapes": [one.to_json() for one in self.shapes],
            "faithful": self.faithful.to_json(),
            "stability": None if self.stability is None else self.stability.to_json(),
            "prices": [one.to_json() for one in self.prices],
            "rivals": {name: one.to_json() for name, one in self.rivals.items()},
            "shown": [
                {
                    "row": one.row,
                    "said": one.said,
                    "probability": one.probability,
                    "truth": one.truth,
                    "adds": [list(pair) for pair in one.adds],
                    "wanted": one.wanted,
                    "change": None if one.change is None else one.change.to_json() | {"others": list(one.others)},
                }
                for one in self.shown
            ],
        }


def explain_table(
    model: TableModel,
    rows: Sequence[Row],
    *,
    name: str = "the model",
    target: str | None = None,
    background: Sequence[Row] | None = None,
    again: Sequence[TableModel] = (),
    against: Mapping[str, TableModel] | None = None,
    best: str | None = None,
    fixed: Sequence[str] = (),
    most: int = 200,
    shown: int = 4,
    seed: int = 0,
) -> TableWhole:
    """Explain a model of a table.

    Args:
        model: it.
        rows: that it did not learn from, best.
        name: what it is called.
        target: the column that holds the truth, where rows have it.
        background: other rows, whose values stand in for what is taken away; None are the rows themselves.
        again: the same model taught anew, with another seed or other rows.
        against: other models of the same target, by name: what transparency costs is seen between them all.
        best: the opaque one to compare with, chosen on other rows; None takes the best on these.
        fixed: columns that cannot be otherwise, as a person's age.
        most: rows that are explained, drawn.
        shown: rows that are shown, from the least to the most surely answered.
        seed: of all that is drawn.

    Raises:
        ConfigError: no such column, or models of other columns or classes.
        DataError: no rows, or rows that lack a column.
    """
    if not rows:
        raise DataError("there are no rows to explain")
    for column in fixed:
        if column not in model.table.columns:
            raise ConfigError(f"no column {column!r} in the model, which has {', '.join(model.table.columns[:20])}")
    x_all = model.table.matrix(rows)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])
    x, others = x_all[drawn], x_all if background is None else model.table.matrix(background)
    told = explained(model, x, others, seed=seed)
    predicted = model.inner.predict(x)
    said = predicted.argmax(axis=1) if predicted.ndim == 2 else np.zeros(len(x), np.int64)
    adds = toward(told, said)
    order = np.argsort(-told.importance(), kind="stable")[:_SHAPES].tolist()
    output = 0 if len(told.outputs) == 1 else int(np.bincount(said, minlength=len(told.outputs)).argmax())
    truth = None if target is None else targets_of(model, rows, target)
    picked = _picked(predicted, shown)
    known = None if truth is None else truth[drawn]
    return TableWhole(
        name,
        model,
        told,
        len(rows),
        tuple(shape_of(model, told, x, column, output) for column in order),
        tuple(
            _one(model, [rows[i] for i in drawn], x, predicted, told, adds, place, others, fixed, known)
            for place in picked
        ),
        faithful(model.inner.predict, x, adds, others, seed=seed),
        _stability(model, told, again, [rows[i] for i in drawn], background or rows, seed),
        tuple(_prices(name, model, rows, truth, against or {}, best, seed)),
    )


def _picked(predicted: Floats, count: int) -> list[int]:
    """Return rows from the least to the most surely answered, or from the least number to the greatest."""
    order = np.argsort(predicted.max(axis=1) if predicted.ndim == 2 else predicted, kind="stable")
    return [
        int(order[i]) for i in np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    ]


def _one(
    model: TableModel,
    rows: Sequence[Row],
    x: Floats,
    predicted: Floats,
    told: Explained,
    adds: Floats,
    place: int,
    others: Floats,
    fixed: Sequence[str],
    truth: Floats | None,
) -> OneRow:
    names, row = model.table.columns, rows[place]
    own = {name: row.get(name) for name in names}
    if model.kind == "number":
        shares = told.shares[place, :, 0]
        known = None if truth is None else f"{truth[place]:.6g}"
        return OneRow(own, f"{float(predicted[place]):.6g}", None, known, _ranked(names, shares))
    ranked = np.argsort(-predicted[place], kind="stable")
    known = None if truth is None else model.classes[int(truth[place])]
    wanted = int(ranked[1])
    said = predicted[place].max(), model.classes[int(ranked[0])]
    found = None
    # Nothing known may be given the other class: then there is nothing to take values from.
    if (model.inner.predict(others).argmax(axis=1) == wanted).any():
        places = [names.index(column) for column in fixed]
        found = changes(model.inner.predict, x[place], wanted, others, fixed=places)
    return OneRow(
        own,
        said[1],
        float(said[0]),
        known,
        _ranked(names, adds[place]),
        model.classes[wanted],
        found,
        () if found is None else tuple(_worded(model, *pair) for pair in zip(found.columns, found.values, strict=True)),
    )


def _ranked(names: Sequence[str], shares: Floats) -> tuple[tuple[str, float], ...]:
    return tuple((names[i], float(shares[i])) for i in np.argsort(-np.abs(shares), kind="stable"))


def _worded(model: TableModel, column: int, value: float) -> tuple[str, str]:
    name = model.table.columns[column]
    if np.isnan(value):
        return name, "missing"
    known = {code: word for word, code in model.table.codes.get(name, {}).items()}
    return name, str(known.get(int(value), f"{value:g}")) if name in model.table.codes else f"{value:.6g}"


def _stability(
    model: TableModel,
    told: Explained,
    again: Sequence[TableModel],
    rows: Sequence[Row],
    background: Sequence[Row],
    seed: int,
) -> Stability | None:
    found = [dict(zip(told.columns, told.importance().tolist(), strict=True))]
    for number, other in enumerate(again, 1):
        if set(other.table.columns) != set(model.table.columns):
            raise ConfigError(f"model {number} taught anew goes by other columns than the one that is explained")
        one = explained(other, other.table.matrix(rows), other.table.matrix(background), seed=seed)
        found.append(dict(zip(one.columns, one.importance().tolist(), strict=True)))
    if len(found) < 2:
        return None
    return stability([np.array([one[name] for name in told.columns]) for one in found])


def _prices(
    name: str,
    model: TableModel,
    rows: Sequence[Row],
    truth: Floats | None,
    against: Mapping[str, TableModel],
    best: str | None,
    seed: int,
) -> list[Price]:
    models = {name: model, **against}
    for title, one in models.items():
        if (one.kind, one.classes) != (model.kind, model.classes):
            raise ConfigError(f"{title}: it foretells something else than {name}")
    told = {title: one.predict(rows) for title, one in models.items()}
    clear = {title: told[title] for title, one in models.items() if is_transparent(one)}
    opaque = {title: one for title, one in told.items() if title not in clear}
    if truth is None or not clear or not opaque:
        return []
    return prices(clear, opaque, truth, MEASURES[model.kind][0], best=best, seed=seed)
