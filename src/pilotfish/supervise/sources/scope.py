"""Which rows a specialist is for: those of a domain, with a mark in their text, or on a topic."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Row, need_columns

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["Matching", "Scope", "Topic", "Topics", "Where", "column_of"]


class Scope(ABC):
    """Which rows are a source's own."""

    @abstractmethod
    def of(self, rows: Sequence[Row]) -> NDArray[np.bool_]:
        """Return (rows,) whether each is."""


class Where(Scope):
    """Rows whose columns have given values: `{"domain": "law"}`, `{"domain": ["law", "tax"]}`; all columns must fit."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        if not values:
            raise ConfigError("where needs at least one column")
        self.values = {
            name: list(one) if isinstance(one, list | tuple | set) else [one] for name, one in values.items()
        }

    def of(self, rows: Sequence[Row]) -> NDArray[np.bool_]:
        """Return (rows,) whether each fits.

        Raises:
            DataError: a row lacks a column.
        """
        for place, row in enumerate(rows):
            need_columns(row, *self.values, source=f"row {place + 1}")
        return np.array([all(row[name] in wanted for name, wanted in self.values.items()) for row in rows], np.bool_)


class Matching(Scope):
    """Rows in whose text a regular expression is found."""

    def __init__(self, pattern: str, text: str = "text") -> None:
        self.text = text
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ConfigError(f"the pattern {pattern!r} is none: {error}") from None

    def of(self, rows: Sequence[Row]) -> NDArray[np.bool_]:
        """Return (rows,) whether each has it."""
        return np.array([bool(self._pattern.search(one)) for one in column_of(rows, self.text)], np.bool_)


class Topics:
    """Texts by what they are about: clusters of their vectors, learnt from texts without labels.

    Args:
        encoder: gives the vectors.
        count: how many topics.
        text: the column.
        seed: of k-means.
    """

    def __init__(self, encoder: Encoder, count: int, *, text: str = "text", seed: int = 0) -> None:
        if count < 2:
            raise ConfigError(f"there are at least two topics, not {count}")
        self.encoder, self.count, self.text, self.seed = encoder, count, text, seed
        self._last: tuple[int, NDArray[np.int64]] | None = None  # each topic asks of the same texts

    def fit(self, rows: Sequence[Row]) -> Topics:
        """Find the topics.

        Raises:
            DataError: fewer rows than topics.
        """
        texts = column_of(rows, self.text)
        if len(texts) < self.count:
            raise DataError(f"{len(texts)} rows have no {self.count} topics")
        cluster = need("sklearn.cluster", "train")
        means = cluster.KMeans(self.count, n_init=4, random_state=self.seed).fit(self.encoder.encode(texts))
        self.centres_: NDArray[np.float64] = np.asarray(means.cluster_centers_, np.float64)
        self._last = None
        return self

    def of(self, rows: Sequence[Row]) -> NDArray[np.int64]:
        """Return (rows,) each one's topic, the nearest centre."""
        texts = column_of(rows, self.text)
        key = hash(tuple(texts))
        if self._last is None or self._last[0] != key:
            vectors = self.encoder.encode(texts).astype(np.float64)
            far = (self.centres_**2).sum(axis=1) - 2 * vectors @ self.centres_.T
            self._last = key, np.asarray(far.argmin(axis=1), np.int64)
        return self._last[1]

    def topics(self) -> list[Topic]:
        """Return each topic as a scope."""
        return [Topic(self, number) for number in range(self.count)]


class Topic(Scope):
    """Rows on one of the `Topics`."""

    def __init__(self, topics: Topics, number: int) -> None:
        self.topics, self.number = topics, number

    def of(self, rows: Sequence[Row]) -> NDArray[np.bool_]:
        """Return (rows,) whether each is on it."""
        return np.asarray(self.topics.of(rows) == self.number)


def column_of(rows: Sequence[Row], name: str, numbers: Sequence[int] | None = None) -> list[str]:
    """Return a column of texts; `numbers` are what the rows are called in errors, from 1 without any.

    Raises:
        DataError: a row lacks it, or it is no text there.
    """
    found = []
    for number, row in zip(numbers or range(1, len(rows) + 1), rows, strict=True):
        need_columns(row, name, source=f"row {number}")
        value = row[name]
        if not isinstance(value, str):
            raise DataError(f"row {number}: column {name!r} is {type(value).__name__}, not text")
        found.append(value)
    return found
