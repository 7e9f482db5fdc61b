"""From what people hand over to codes: labels, sources, rows, each checked, so that an error names row and source."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError, did_you_mean

__all__ = [
    "Label",
    "classes_of",
    "coded",
    "coded_labels",
    "named",
    "one_each",
    "soft_pieces",
    "table_pieces",
    "unknown",
]

Label = str | int | bool
Ints = NDArray[np.int64]


def named(names: Iterable[Hashable], count: int | None, what: str) -> tuple[str, ...]:
    """Return names as words, each once, as many as there should be.

    Raises:
        DataError: they are not.
    """
    words = tuple(str(name) for name in names)
    if count is not None and len(words) != count:
        raise DataError(f"{len(words)} names for {count} {what}")
    if len(set(words)) < len(words):
        twice = next(word for at, word in enumerate(words) if word in words[:at])
        raise DataError(f"two {what} are called {twice!r}")
    return words


def one_each(ids: Sequence[Hashable], count: int) -> list[Hashable]:
    """Return the ids of rows, each once, as many as there are rows.

    Raises:
        DataError: they are not.
    """
    keys = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
    if len(keys) != count:
        raise DataError(f"{len(keys)} ids for {count} rows")
    if len(set(keys)) < count:
        raise DataError("two rows have one id")
    return keys


def coded(
    values: Sequence[Hashable] | NDArray[Any], known: Sequence[Hashable] | None, what: str
) -> tuple[Ints, Sequence[Hashable]]:
    """Return the place of each value among the known ones, or among those met, in the order they come in.

    Raises:
        DataError: a value that is not known.
    """
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    if known is None:
        place: dict[Hashable, int] = {}
        codes = np.fromiter((place.setdefault(value, len(place)) for value in plain), np.int64, len(plain))
        return codes, list(place)
    keys = one_each(known, len(known))
    place = {key: at for at, key in enumerate(keys)}
    codes = np.fromiter((place.get(value, -1) for value in plain), np.int64, len(plain))
    if (codes < 0).any():
        value = plain[int(np.flatnonzero(codes < 0)[0])]
        raise DataError(f"{what} {value!r} is not among those given{did_you_mean(str(value), map(str, keys[:1000]))}")
    return codes, keys


def classes_of(labels: Sequence[Any] | NDArray[Any], classes: Iterable[Label] | None) -> tuple[Label, ...]:
    """Return the classes: those given, in their order, or the sorted labels.

    Raises:
        DataError: fewer than two, one given twice, or one that is neither a word nor a whole number.
    """
    if classes is None:
        met = set(np.unique(labels).tolist() if isinstance(labels, np.ndarray) and labels.dtype != object else labels)
        try:
            found = sorted(met)
        except TypeError:  # labels of several types have no order of their own
            found = sorted(met, key=lambda label: (type(label).__name__, str(label)))
    else:
        found = [one.item() if isinstance(one, np.generic) else one for one in classes]
    for one in found:
        if not isinstance(one, str | int):
            raise DataError(f"a class is a word or a whole number, not {one!r}")
    if len(set(found)) < len(found):
        raise DataError("a class is given twice")
    if len(found) < 2:
        raise DataError(f"votes are for one of two classes at least, not {found}; pass `classes`")
    return tuple(found)


def coded_labels(
    labels: Sequence[Any] | NDArray[Any],
    classes: tuple[Label, ...],
    where: Callable[[int], tuple[Any, Any]],
) -> Ints:
    """Return the class of each label as its place; whole numbers are places already where classes are words.

    Raises:
        DataError: a label that is no class; `where` says which row and source gave it.
    """
    plain = labels.tolist() if isinstance(labels, np.ndarray) else labels
    place: dict[Any, int] = {label: at for at, label in enumerate(classes)}
    if all(isinstance(one, str) for one in classes):
        place |= {at: at for at in range(len(classes))}
    codes = np.fromiter((place.get(label, -1) for label in plain), np.int64, len(plain))
    if (codes < 0).any():
        at = int(np.flatnonzero(codes < 0)[0])
        row, source = where(at)
        shown = ", ".join(map(repr, classes[:12]))
        raise DataError(f"row {row!r}, source {source!r}: {plain[at]!r} is not among the classes {shown}")
    return codes


def table_pieces(
    table: ArrayLike | Sequence[Sequence[Any]], abstain: int
) -> tuple[Ints, Ints, list[Any], tuple[int, int]]:
    """Return row, source and label of each vote in a (rows, sources) table, and its shape.

    Raises:
        DataError: it is no table.
    """
    try:
        given = table if isinstance(table, np.ndarray) else np.array(table, object)
    except ValueError as error:
        raise DataError(f"a table of votes has one column a source in every row: {error}") from None
    if given.ndim == 1 and len({len(one) for one in given if isinstance(one, list | tuple)}) > 1:
        raise DataError("a table of votes has one column a source in every row; its rows have several lengths")
    if given.ndim != 2 or not given.size:
        raise DataError(f"a table of votes is (rows, sources); got shape {given.shape}")
    if given.dtype == object:
        said = np.array([[not _empty(one, abstain) for one in line] for line in given], np.bool_)
    else:
        said = given != abstain
        if given.dtype.kind == "f":
            said &= ~np.isnan(given)
    row, source = np.nonzero(said)
    labels = given[said].tolist()
    # A table with NaN is of floats; its labels are whole numbers all the same.
    labels = [int(one) if isinstance(one, float) and one.is_integer() else one for one in labels]
    return row, source, labels, (given.shape[0], given.shape[1])


def unknown(one: Any) -> bool:
    """Whether a label is none: None or NaN."""
    return one is None or (isinstance(one, float) and math.isnan(one))


def _empty(one: Any, abstain: int) -> bool:
    return unknown(one) or (not isinstance(one, str) and bool(one == abstain))


def soft_pieces(
    given: NDArray[np.float64], where: Callable[[int, int], tuple[Any, Any]]
) -> tuple[Ints, Ints, Ints, NDArray[np.float64]]:
    """Return row, source, class and share of what is above nought in (rows, sources, classes) probabilities.

    Raises:
        DataError: a vote that is partly NaN, below nought, or does not sum to 1; `where` says whose.
    """
    missing = np.isnan(given)
    said = ~missing.all(axis=2)
    total = np.where(missing, 0.0, given).sum(axis=2)
    wrong = said & (missing.any(axis=2) | (given < 0).any(axis=2) | ~(np.abs(total - 1) <= 1e-3))
    if wrong.any():
        i, s = (int(one[0]) for one in np.nonzero(wrong))
        row, source = where(i, s)
        raise DataError(f"row {row!r}, source {source!r}: {given[i, s].tolist()} are not probabilities that sum to 1")
    row, source, label = np.nonzero(np.where(missing, 0.0, given) > 0)
    return row, source, label, given[row, source, label] / total[row, source]
