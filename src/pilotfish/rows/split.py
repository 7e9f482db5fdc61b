"""Seeded splits: stratified, so that each part has its share of every class; grouped, so that no group straddles parts.

The split goes by position and seed: the same rows in the same order give the same split on every machine, rows in
another order give another. Split after `near_duplicates`, with its `group`, or a copy of a training row may stand in
the test set.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Rows, need_columns

__all__ = ["split"]

Ints = NDArray[np.int64]
_DEFAULT = {"train": 0.8, "test": 0.2}


def split(
    rows: Rows | int,
    parts: Mapping[str, float] | None = None,
    seed: int = 0,
    *,
    stratify: str | Sequence[Hashable] | None = None,
    group: str | Sequence[Hashable] | NDArray[Any] | None = None,
) -> dict[str, Ints]:
    """Return the row numbers of each part, ascending; every row is in exactly one part.

    Shares are exact up to rounding by largest remainder: of n rows, and with `stratify` of each class, a part gets its
    share rounded up or down, and what rounding gives or takes evens out over the classes. With `group` shares are as
    near as a greedy choice, largest groups first, gets them.

    In a stratified split the part called `train` (else the first) gets at least one row of every class, and the only
    row of a class that has just one.

    Args:
        rows: the rows, or how many there are.
        parts: name -> share; the shares sum to 1. None is 80% train, 20% test.
        seed: another seed, another split.
        stratify: a column, or one class a row.
        group: a column, or one group a row; rows of one group stay together.

    Raises:
        ConfigError: the shares are not positive or do not sum to 1, or a column is named where rows are only counted.
        DataError: no rows, a missing column, or not one class or group a row.
    """
    shares = dict(parts or _DEFAULT)
    if any(not share > 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        shown = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise ConfigError(f"the shares of a split must be above 0 and sum to 1, not {shown}")
    count = rows if isinstance(rows, int) else len(rows)
    if count < 1:
        raise DataError("no rows to split")
    classes = _codes(rows, count, stratify, "stratify")
    groups = _codes(rows, count, group, "group")
    fractions = np.array(list(shares.values()), dtype=np.float64)
    home = list(shares).index("train") if "train" in shares else 0
    random = np.random.Generator(np.random.PCG64(seed))
    if groups is not None:
        of = _grouped(groups, classes, fractions, random)
        if classes is not None:
            _bring_home(of, groups, classes, home)
    else:
        of = _stratified(np.zeros(count, np.int64) if classes is None else classes, fractions, random)
        if classes is not None:
            _bring_home(of, np.arange(count, dtype=np.int64), classes, home)
    return {name: np.flatnonzero(of == place).astype(np.int64) for place, name in enumerate(shares)}


def _codes(rows: Rows | int, count: int, by: str | Sequence[Hashable] | NDArray[Any] | None, what: str) -> Ints | None:
    """Return one number a row, in order of first appearance, for a column or a sequence."""
    if by is None:
        return None
    if isinstance(by, str):
        if isinstance(rows, int):
            raise ConfigError(f"{what}={by!r} names a column, but the rows are only counted; give the values")
        for place, row in enumerate(rows):
            if by not in row:
                need_columns(row, by, source=f"row {place + 1}")
        by = [row[by] for row in rows]
    if len(by) != count:
        raise DataError(f"{count} rows but {len(by)} values to {what} by")
    values = by.tolist() if isinstance(by, np.ndarray) else by
    known: dict[Hashable, int] = {}
    try:
        return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)
    except TypeError:
        raise DataError(f"cannot {what} by lists or objects: a value must be text or a number") from None


def _stratified(classes: Ints, fractions: NDArray[np.float64], random: np.random.Generator) -> Ints:
    """Return the part of each row; a class goes to the parts by largest remainder, what rounding owes carried over."""
    of = np.empty(len(classes), dtype=np.int64)
    owed = np.zeros(len(fractions))
    order = np.argsort(classes, kind="stable")
    bounds = np.cumsum(np.bincount(classes))[:-1]
    for members in np.split(order, bounds):
        quota = fractions * len(members)
        counts = np.floor(quota + 1e-9).astype(np.int64)
        owed += quota - counts
        # Only parts with a remainder of their own may be rounded up, or a part could get over one row too many.
        may = quota - counts > 1e-9
        for _ in range(len(members) - int(counts.sum())):
            place = int(np.argmax(np.where(may, owed, -np.inf)))
            counts[place] += 1
            owed[place] -= 1
            may[place] = False
        of[random.permutation(members)] = np.repeat(np.arange(len(fractions)), counts)
    return of


def _grouped(groups: Ints, classes: Ints | None, fractions: NDArray[np.float64], random: np.random.Generator) -> Ints:
    """Return the part of each row: groups, largest first, go where they bring the class counts nearest the quotas."""
    kinds = classes if classes is not None else np.zeros(len(groups), np.int64)
    total = np.bincount(kinds)
    # Weighted by 1 / size, so that a rare class counts as much as a common one.
    lack = np.outer(fractions, total)
    weight = 1.0 / total
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(groups))[:-1])
    shuffled = random.permutation(len(members))
    shuffled = shuffled[np.argsort([-len(members[place]) for place in shuffled], kind="stable")]
    of = np.empty(len(groups), dtype=np.int64)
    rest = fractions * len(groups)
    for place in shuffled.tolist():
        rows = members[place]
        held, counts = np.unique(kinds[rows], return_counts=True)
        # (lack - n)^2 - lack^2 = n^2 - 2 n lack; n^2 is the same for all parts.
        gain = (lack[:, held] * (counts * weight[held])).sum(axis=1)
        best = np.flatnonzero(gain >= gain.max() - 1e-9)
        part = int(best[np.argmax(rest[best])])
        of[rows] = part
        lack[part, held] -= counts
        rest[part] -= len(rows)
    return of


def _bring_home(of: Ints, groups: Ints, classes: Ints, home: int) -> None:
    """Move the smallest group of each class that the home part lacks there, in place."""
    present = np.bincount(classes[of == home], minlength=int(classes.max()) + 1)
    sizes = np.bincount(groups)
    for kind in np.flatnonzero(present == 0):
        holding = np.unique(groups[classes == kind])
        mover = holding[np.argmin(sizes[holding])]
        of[groups == mover] = home
