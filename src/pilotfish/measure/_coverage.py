"""Attribute coverage: which combinations of attributes have rows, and how evenly."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from pilotfish.errors import DataError

__all__ = ["Coverage", "coverage"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How rows fill the cells of a cross product of attributes.

    Attributes:
        domains: attribute -> its values.
        counts: cell (a value of each attribute, in their order) -> rows; empty cells are left out.
    """

    domains: Mapping[str, tuple[Hashable, ...]]
    counts: Mapping[tuple[Hashable, ...], int]

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return math.prod(len(values) for values in self.domains.values())

    @property
    def covered(self) -> float:
        """The share of cells that have rows."""
        return len(self.counts) / self.cells

    @property
    def balance(self) -> float:
        """The entropy of the rows over the cells as a share of the greatest: 1 where all cells have as many rows."""
        return _evenness(self.counts.values(), self.cells)

    @property
    def balances(self) -> dict[str, float]:
        """The balance of each attribute for itself."""
        out = {}
        for place, (name, values) in enumerate(self.domains.items()):
            single: Counter[Hashable] = Counter()
            for cell, count in self.counts.items():
                single[cell[place]] += count
            out[name] = _evenness(single.values(), len(values))
        return out

    def missing(self, most: int = 20) -> list[tuple[Hashable, ...]]:
        """Return the first empty cells."""
        return list(islice((cell for cell in product(*self.domains.values()) if cell not in self.counts), most))

    def to_json(self, examples: int = 20) -> dict[str, Any]:
        """Return the numbers, and the first empty cells, as plain data."""
        return {
            "cells": self.cells,
            "covered": self.covered,
            "balance": self.balance,
            "balances": self.balances,
            "missing": [list(cell) for cell in self.missing(examples)],
        }


def coverage(
    rows: Iterable[Mapping[str, Any]],
    attributes: Sequence[str],
    domains: Mapping[str, Sequence[Hashable]] | None = None,
) -> Coverage:
    """Return how rows fill the cross product of some attributes.

    Args:
        rows: the rows.
        attributes: the columns.
        domains: attribute -> the values there should be; those not named have the values that come up, in order.

    Raises:
        DataError: no rows or attributes, a row that lacks one, or a value outside its domain.
    """
    known = {name: dict.fromkeys(values) for name, values in (domains or {}).items() if name in attributes}
    seen: dict[str, dict[Hashable, None]] = {name: dict(known.get(name, {})) for name in attributes}
    counts: Counter[tuple[Hashable, ...]] = Counter()
    for place, row in enumerate(rows, 1):
        for name in attributes:
            if name not in row:
                raise DataError(f"row {place}: no attribute {name!r}")
            if not isinstance(row[name], Hashable):
                raise DataError(f"row {place}: the attribute {name!r} is {type(row[name]).__name__}, not one value")
            if name in known and row[name] not in known[name]:
                raise DataError(f"row {place}: {row[name]!r} is none of the values of {name!r}")
            seen[name].setdefault(row[name])
        counts[tuple(row[name] for name in attributes)] += 1
    if not attributes or not counts:
        raise DataError("the coverage of attributes needs at least one attribute and one row")
    return Coverage({name: tuple(values) for name, values in seen.items()}, dict(counts))


def _evenness(counts: Iterable[int], cells: int) -> float:
    every = [count for count in counts if count]
    total = sum(every)
    if cells < 2:
        return 1.0
    return -sum(count / total * math.log(count / total) for count in every) / math.log(cells)
