"""Additive models: sums of functions of one column or two, as tables that are looked up; what each adds is seen.

Sources: Lou et al. 2012, 2013 (generalised additive models with interactions); Nori et al. 2019 (InterpretML), whose
explainable boosting machines can be taken in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import DataError, ModelError
from pilotfish.models.forest.forest import Link, linked

__all__ = ["Additive", "Bins", "Term", "from_interpret"]

Floats = NDArray[np.float64]
FILE, ARRAYS, FORMAT = "additive.json", "additive.safetensors", 1


@dataclass(frozen=True, eq=False)
class Bins:
    """Which place of a table a value has: 0 where it is missing, the last where it was never seen.

    Attributes:
        column: of the row.
        cuts: (cuts,) rising, of numbers: a value that is a cut stands above it. None of categories.
        codes: (codes,) the place of each category; 0 for a code that there is none of. None of numbers.
        size: how many places there are.
    """

    column: int
    cuts: Floats | None
    codes: NDArray[np.int64] | None
    size: int

    def places(self, x: Floats) -> NDArray[np.int64]:
        """Return the place of each row's value: (rows,)."""
        values = x[:, self.column]
        missing = np.isnan(values)
        if self.cuts is not None:
            found = np.searchsorted(self.cuts, np.where(missing, 0.0, values), side="right") + 1
        else:
            assert self.codes is not None
            known = ~missing & (values >= 0) & (values < len(self.codes)) & (values == np.floor(values))
            found = np.full(len(values), self.size - 1)
            found[known] = np.where((own := self.codes[values[known].astype(np.int64)]) > 0, own, self.size - 1)
        return np.asarray(np.where(missing, 0, found), np.int64)


@dataclass(frozen=True, eq=False)
class Term:
    """A function of one column or more.

    Attributes:
        bins: a column each.
        scores: (places of the first, places of the second, ..., outputs) what it adds.
    """

    bins: tuple[Bins, ...]
    scores: Floats

    @property
    def columns(self) -> tuple[int, ...]:
        """Which columns it looks at."""
        return tuple(one.column for one in self.bins)

    def adds(self, x: Floats) -> Floats:
        """Return what it adds to each row: (rows, outputs)."""
        return np.asarray(self.scores[tuple(one.places(x) for one in self.bins)])


@dataclass(frozen=True, eq=False)
class Additive:
    """An additive model.

    Attributes:
        terms: of it.
        base: (outputs,) what they add to.
        columns: how many a row has.
        link: of the sum, as of a `Forest`.
    """

    terms: tuple[Term, ...]
    base: Floats
    columns: int
    link: Link

    def contributions(self, x: Floats) -> Floats:
        """Return what each term adds to each row: (rows, terms, outputs); with `base` they sum to `raw`, exactly."""
        self._check(x)
        if not self.terms:
            return np.zeros((len(x), 0, len(self.base)))
        return np.stack([term.adds(x) for term in self.terms], axis=1)

    def raw(self, x: Floats) -> Floats:
        """Return the sums: (rows, outputs)."""
        self._check(x)
        total = np.tile(self.base, (len(x), 1))
        for term in self.terms:
            total += term.adds(x)
        return total

    def predict(self, x: Floats) -> Floats:
        """Return numbers (rows,) of a regression, or probabilities (rows, classes)."""
        return linked(self.raw(x), self.link)

    def _check(self, x: Floats) -> None:
        if x.ndim != 2 or x.shape[1] != self.columns:
            raise DataError(f"rows of {self.columns} columns, not of shape {x.shape}")

    def save(self, folder: str | Path) -> None:
        """Write additive.safetensors and, last, additive.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        arrays: dict[str, Any] = {"base": self.base}
        told = []
        for number, term in enumerate(self.terms):
            arrays[f"{number}"] = np.ascontiguousarray(term.scores)
            own = []
            for place, one in enumerate(term.bins):
                kind, edges = ("cuts", one.cuts) if one.cuts is not None else ("codes", one.codes)
                assert edges is not None
                if len(edges):
                    arrays[f"{number}.{place}"] = np.ascontiguousarray(edges)
                own.append({"column": one.column, "kind": kind, "size": one.size, "edges": len(edges)})
            told.append(own)
        need("safetensors.numpy", "local").save_file(arrays, folder / ARRAYS)
        facts = {"format": FORMAT, "columns": self.columns, "link": self.link, "terms": told}
        (folder / FILE).write_text(json.dumps(facts) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Additive:
        """Read what `save` wrote, and see that no row can fall out of it.

        Raises:
            ModelError: there is none, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, "additive model"):
            facts = facts_in(folder / FILE, "additive model", FORMAT)
            arrays = need("safetensors.numpy", "local").load_file(folder / ARRAYS)
            terms = tuple(_term(number, own, arrays) for number, own in enumerate(facts["terms"]))
            found = cls(terms, arrays["base"], int(facts["columns"]), facts["link"])
            if not all(_sound(term, found) for term in terms):
                raise ModelError(f"{folder}: a damaged additive model")
        return found


def _term(number: int, told: Sequence[Mapping[str, Any]], arrays: Mapping[str, Any]) -> Term:
    bins = []
    for place, one in enumerate(told):
        edges = arrays[f"{number}.{place}"] if one["edges"] else np.zeros(0)
        cuts = edges.astype(np.float64) if one["kind"] == "cuts" else None
        codes = edges.astype(np.int64) if one["kind"] == "codes" else None
        bins.append(Bins(int(one["column"]), cuts, codes, int(one["size"])))
    return Term(tuple(bins), arrays[f"{number}"])


def _sound(term: Term, model: Additive) -> bool:
    if term.scores.shape != (*(one.size for one in term.bins), len(model.base)):
        return False
    for one in term.bins:
        if not 0 <= one.column < model.columns:
            return False
        if one.cuts is not None and one.size != len(one.cuts) + 3:
            return False
        if one.codes is not None and len(one.codes) and not 0 <= one.codes.min() <= one.codes.max() < one.size:
            return False
    return True


def from_interpret(model: Any, columns: int) -> Additive:
    """Return a fitted `ExplainableBoostingClassifier` or `-Regressor` of interpret.

    Args:
        model: fitted on numbers, with codes from 0 on in its nominal columns.
        columns: how many it was fitted on.

    Raises:
        ModelError: a link that is not known here.
    """
    links: dict[str, Link] = {"logit": "sigmoid", "mlogit": "softmax", "identity": "identity"}
    if model.link_ not in links:
        raise ModelError(f"an additive model with the link {model.link_!r} is not known here")
    base = np.atleast_1d(np.asarray(model.intercept_, np.float64))
    terms = []
    for features, scores in zip(model.term_features_, model.term_scores_, strict=True):
        table = np.asarray(scores, np.float64)
        table = table if table.ndim > len(features) else table[..., None]
        bins = []
        for place, feature in enumerate(features):
            # Of a pair's functions each column may have coarser bins than alone.
            levels = model.bins_[feature]
            bins.append(_bins(int(feature), levels[min(len(features), len(levels)) - 1], table.shape[place]))
        terms.append(Term(tuple(bins), table))
    return Additive(tuple(terms), base, columns, links[model.link_])


def _bins(column: int, level: Any, size: int) -> Bins:
    if not isinstance(level, dict):
        return Bins(column, np.asarray(level, np.float64), None, size)
    places = {int(float(name)): int(place) for name, place in level.items()}
    codes = np.zeros(max(places, default=-1) + 1, np.int64)
    for code, place in places.items():
        codes[code] = place
    return Bins(column, None, codes, size)
