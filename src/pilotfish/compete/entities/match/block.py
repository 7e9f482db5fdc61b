"""Blocking: of all pairs of two tables those that could be of the same thing, so that a matcher reads few.

Sources: Papadakis et al. 2020 (Blocking and Filtering Techniques for Entity Resolution), sections 3 (token and q-gram
blocking), 5 (blocks that are too large are left out) and 6 (of a record's pairs the heaviest are kept); the measures,
pair completeness (here recall) and reduction ratio, are those of its section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.entities.aliases import BITS, trigrams
from pilotfish.compete.entities.match.pairs import Record
from pilotfish.compete.entities.names import normalised
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, wilson

__all__ = ["Blocking", "Blocks"]

Ints = NDArray[np.int64]
_ROWS = 512  # left records that are compared at once


@dataclass(frozen=True, eq=False)
class Blocks:
    """The pairs that are left.

    Attributes:
        left, right: (pairs,) rows of the two tables, the heaviest pairs of a left record first.
        weight: (pairs,) the cosine of what they share.
        sizes: rows of the two tables.
    """

    left: Ints
    right: Ints
    weight: NDArray[np.float64]
    sizes: tuple[int, int]

    def __len__(self) -> int:
        return len(self.left)

    @property
    def reduction(self) -> float:
        """The share of all pairs that need not be read."""
        whole = self.sizes[0] * self.sizes[1]
        return 1 - len(self) / whole if whole else 0.0

    def recall(self, same: Sequence[tuple[int, int]]) -> Interval:
        """Return the share of the pairs that are of the same thing that are left.

        Raises:
            DataError: none is given.
        """
        if not same:
            raise DataError("recall is of pairs that are of the same thing; none is given")
        kept = set(zip(self.left.tolist(), self.right.tolist(), strict=True))
        return wilson(sum(pair in kept for pair in set(same)), len(set(same)))


@dataclass(frozen=True)
class Blocking:
    """How pairs are found.

    Args:
        by: "words" that two records share, or "trigrams", which misspelt ones share too.
        columns: that count; None counts all.
        k: how many right records a left one gets; None keeps all that share anything.
        largest: a word or trigram of more right records than this share of them makes no pair by itself.

    Raises:
        ConfigError: a number out of range.
    """

    by: Literal["words", "trigrams"] = "words"
    columns: Sequence[str] | None = None
    k: int | None = 20
    largest: float = 0.1

    def __post_init__(self) -> None:
        if self.by not in ("words", "trigrams"):
            raise ConfigError(f"blocks are by words or trigrams, not {self.by!r}")
        if (self.k is not None and self.k < 1) or not 0 < self.largest <= 1:
            raise ConfigError(f"k is 1 or more and largest a share above 0, not {self.k} and {self.largest}")

    def pairs(self, left: Sequence[Record], right: Sequence[Record]) -> Blocks:
        """Return the pairs of two tables that could be of the same thing."""
        sizes = (len(left), len(right))
        if not all(sizes):
            return Blocks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), sizes)
        one, other = self._tables([self._text(record) for record in left], [self._text(record) for record in right])
        rows, columns, weights = [], [], []
        for start in range(0, len(left), _ROWS):
            shared = (one[start : start + _ROWS] @ other.T).tocsr()
            for place in range(shared.shape[0]):
                some = slice(int(shared.indptr[place]), int(shared.indptr[place + 1]))
                found, told = shared.indices[some].astype(np.int64), shared.data[some]
                order = np.lexsort((found, -told))[: self.k]
                rows.append(np.full(len(order), start + place, np.int64))
                columns.append(found[order])
                weights.append(told[order])
        return Blocks(np.concatenate(rows), np.concatenate(columns), np.concatenate(weights), sizes)

    def _text(self, record: Record) -> str:
        return normalised(
            " ".join(value for name, value in record.items() if self.columns is None or name in self.columns)
        )

    def _tables(self, left: Sequence[str], right: Sequence[str]) -> tuple[Any, Any]:
        """Return both tables as sparse rows of length 1: what a record holds, by how rare it is at the right."""
        sparse = need("scipy.sparse", "entities")
        if self.by == "trigrams":
            held, size = [trigrams(texts) for texts in (left, right)], 1 << BITS
        else:
            known: dict[str, int] = {}
            held = [_words(texts, known) for texts in (left, right)]
            size = len(known)
        holding = np.bincount(held[1][0], minlength=size)
        idf = np.log1p(len(right) / np.maximum(holding, 1))
        idf[(holding == 0) | (holding > max(1.0, self.largest * len(right)))] = 0.0
        tables = []
        for (words, owners), texts in zip(held, (left, right), strict=True):
            weights = idf[words]
            lengths = np.sqrt(np.bincount(owners, weights**2, minlength=len(texts)))
            values = weights / np.maximum(lengths[owners], 1e-12)
            table = sparse.csr_matrix((values, (owners, words)), shape=(len(texts), size))
            table.eliminate_zeros()
            tables.append(table)
        return tables[0], tables[1]


def _words(texts: Sequence[str], known: dict[str, int]) -> tuple[Ints, Ints]:
    """Return the numbers of texts' words, and whose they are: each word once a text."""
    pairs = [
        (known.setdefault(w, len(known)), row) for row, text in enumerate(texts) for w in sorted(set(text.split()))
    ]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
