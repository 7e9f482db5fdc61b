"""Transparent models taught on the same rows as the one that is explained: what they are worth is what opacity buys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.explain.aug import aug_linear, coefficients, ngram_linear
from pilotfish.compete.explain.columns import explained
from pilotfish.compete.explain.stable import Stability, stability
from pilotfish.compete.explain.text.ngrams import is_table
from pilotfish.compete.tables.kinds import kind_of
from pilotfish.compete.tables.linear import Linear
from pilotfish.compete.tables.model import TableModel
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.additive import Additive
from pilotfish.models.classify import EncoderFeatures, Features, Remembered, TextClassifier
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from pilotfish.models.rules import RuleList
from pilotfish.rows._row import Row, need_columns

__all__ = ["TABLES", "TEXTS", "Rival", "is_transparent", "table_rivals", "targets_of", "text_rivals"]

Floats = NDArray[np.float64]
TABLES, TEXTS = ("linear", "additive", "rules"), ("ngrams", "aug")


@dataclass(frozen=True, eq=False)
class Rival:
    """A transparent model.

    Attributes:
        name: its kind.
        model: taught on all rows: a `TableModel`, or a `TextClassifier`.
        stability: how far its importances agree when rows are drawn anew; None where that was not asked for.
    """

    name: str
    model: Any
    stability: Stability | None


def is_transparent(model: Any) -> bool:
    """Say whether a model can be read through: a sum of columns or n-grams, or a rule list."""
    if isinstance(model, TableModel):
        return isinstance(model.inner, Linear | Additive | RuleList)
    return is_table(model)


def targets_of(model: TableModel, rows: Sequence[Row], target: str) -> Floats:
    """Return what a column says of rows: (rows,) codes of the model's classes, or numbers.

    Raises:
        DataError: no such column, a row without a value, or a value that is no class or no number.
    """
    codes = {name: code for code, name in enumerate(model.classes)}
    found = []
    for number, row in enumerate(rows, 1):
        need_columns(row, target, source=f"row {number}")
        value = row[target]
        if model.kind == "classes":
            if str(value).strip() not in codes:
                known = ", ".join(map(repr, model.classes[:12]))
                raise DataError(f"row {number}: column {target!r}: {value!r} is none of the classes {known}")
            found.append(float(codes[str(value).strip()]))
            continue
        try:
            found.append(float(value))
        except (TypeError, ValueError):
            raise DataError(f"row {number}: column {target!r}: {value!r} is no number") from None
    return np.array(found)


def table_rivals(
    model: TableModel,
    rows: Sequence[Row],
    target: str,
    kinds: Sequence[str] = TABLES,
    *,
    looked_at: Floats | None = None,
    again: int = 3,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[Rival]:
    """Teach transparent models of a table, with their usual settings.

    Args:
        model: that is explained; they go by its columns.
        rows: to learn from.
        target: the column to foretell.
        kinds: of `compete.tables.kinds.KINDS`.
        looked_at: rows on which importances are compared; None are the rows that are learnt from.
        again: fits on rows drawn anew, with replacement, whose importances are compared; 0 for none.
        seed: of the fits and draws.
        progress: called with the fits that are done.

    Raises:
        ConfigError: a kind that cannot be read through.
        DataError: a row without a target, or a class of the model that no row has.
    """
    for name in kinds:
        if name not in TABLES:
            raise ConfigError(f"transparent models of tables are {', '.join(TABLES)}, not {name!r}")
    x, y = model.table.matrix(rows), targets_of(model, rows, target)
    if model.kind == "classes" and len(np.unique(y)) < len(model.classes):
        raise DataError(f"column {target!r}: not every class of the model has a row to learn from")
    categorical = [place for place, name in enumerate(model.table.columns) if name in model.table.codes]
    shown = x if looked_at is None else looked_at
    found = []
    for name in kinds:
        kind = kind_of(name)

        def taught(rows: NDArray[np.int64], kind: Any = kind) -> TableModel:
            fitted = kind.fit(x[rows], y[rows], categorical, model.kind, kind.usual, seed)
            if progress:
                progress(1)
            return TableModel(model.table, model.kind, model.classes, fitted.kept, f"{kind.name}, usual settings")

        whole = taught(np.arange(len(y)))
        others = [taught(drawn) for drawn in _draws(y, again, seed, model.kind == "classes")]
        told = [explained(one, shown, x, seed=seed).importance() for one in (whole, *others)] if others else []
        found.append(Rival(name, whole, stability(told) if told else None))
    return found


def text_rivals(
    texts: Sequence[str],
    labels: Sequence[str],
    by: Encoder | LocalModel | Reader | Features | None = None,
    kinds: Sequence[str] | None = None,
    *,
    also: Sequence[str] = (),
    again: int = 3,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[Rival]:
    """Teach tables of n-grams: one from the rows alone, one with the help of a model that reads n-grams.

    Args:
        texts: to learn from.
        labels: theirs.
        by: what reads n-grams; without it there is no "aug".
        kinds: "ngrams", "aug"; None is all that can be.
        also: texts without labels, for the second's table.
        again: fits on rows drawn anew, whose coefficients are compared; 0 for none.
        seed: of the fits and draws.
        progress: called with the fits that are done.

    Raises:
        ConfigError: a kind that is none, or "aug" without what reads n-grams.
    """
    for kind in kinds or ():
        if kind not in TEXTS:
            raise ConfigError(f"transparent models of texts are {', '.join(TEXTS)}, not {kind!r}")
        if kind == "aug" and by is None:
            raise ConfigError("a table of n-grams by Aug-Linear needs an encoder to read them")
    y = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)[1].astype(np.float64)
    makers: dict[str, Callable[[Sequence[str], Sequence[str]], TextClassifier]] = {
        "ngrams": lambda some, said: ngram_linear(some, said, seed=seed).classifier
    }
    if by is not None:
        # Each n-gram is read once, however often rows are drawn.
        dense = EncoderFeatures(by) if isinstance(by, Encoder | LocalModel | Reader) else by
        known = Remembered(dense)
        makers["aug"] = lambda some, said: aug_linear(some, said, known, also=also, seed=seed).classifier
    found = []
    for name, make in makers.items():
        if kinds is not None and name not in kinds:
            continue
        made = []
        for rows in [np.arange(len(y)), *_draws(y, again, seed, True)]:
            made.append(make([texts[i] for i in rows], [labels[i] for i in rows]))
            if progress:
                progress(1)
        found.append(Rival(name, made[0], _agreement(made) if len(made) > 1 else None))
    return found


def _draws(y: Floats, count: int, seed: int, classes: bool) -> list[NDArray[np.int64]]:
    """Return rows drawn with replacement, of classes as many of each as there are."""
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(y == code) for code in np.unique(y)] if classes else [np.arange(len(y))]
    return [np.concatenate([rng.choice(own, len(own)) for own in groups]) for _ in range(count)]


def _agreement(made: Sequence[TextClassifier]) -> Stability:
    """Return how far the sizes of coefficients agree, over the n-grams that all of them have."""
    tables = []
    for one in made:
        names, table = coefficients(one)
        tables.append(dict(zip(names, np.abs(table).mean(axis=1).tolist(), strict=True)))
    common = sorted(set.intersection(*(set(one) for one in tables)))
    return stability([np.array([one[name] for name in common]) for one in tables], k=50)
