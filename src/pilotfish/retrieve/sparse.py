"""Learnt words: rows by the weighted entries that a model gives them, and the inverted lists of these.

Source: Formal et al. 2021 (SPLADE v2), section 3: the score is the product of the query's weights and the passage's.
Queries without a model: Geng et al. 2024, whose weight of a token is its inverse document frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.retrieve._appended import Appended
from pilotfish.retrieve._best import best_of, found_of
from pilotfish.retrieve.found import Found
from pilotfish.retrieve.splade import Weighed, Weighs

__all__ = ["Lists", "Sparse"]


@dataclass(frozen=True)
class Lists:
    """How queries are weighed.

    Args:
        queries: "model" asks it, "idf" takes a query's own tokens, each by log(1 + (N - n + .5) / (n + .5)) where n of
            N rows hold it: no model is run for a query.

    Raises:
        ConfigError: another word.
    """

    queries: Literal["model", "idf"] = "model"

    def __post_init__(self) -> None:
        if self.queries not in ("model", "idf"):
            raise ConfigError(f"queries are weighed by model or by idf, not {self.queries!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return asdict(self)


class Sparse:
    """Rows of an index by learnt words. A row is found where it shares one with the query.

    Args:
        folder: of its files.
        encoder: weighs words; the same one each time.
        how: how queries are weighed.
    """

    name = "sparse"
    patient = False

    def __init__(self, folder: Path, encoder: Weighs, how: Lists | None = None) -> None:
        self.folder, self.encoder, self.how = folder, encoder, how or Lists()
        self._kept = Appended(folder, {"entries": ("int32", 1), "weights": ("float32", 1), "ends": ("int64", 1)})
        self._deleted: set[int] = set()
        # (rows, vocabulary) by columns, and how many rows are not deleted; replaced together.
        self._settled: tuple[Any, int] = None, 0

    @property
    def rows(self) -> int:
        """See `Way`."""
        return self._kept.sizes["ends"]

    def add(self, texts: Sequence[str]) -> None:
        """See `Way`.

        Raises:
            DataError: the disk is full, or refuses.
        """
        told = self.encoder.passages(texts)
        before = self._kept.sizes["entries"]
        self._kept.append("entries", np.concatenate([one.entries for one in told] or [np.zeros(0, np.int32)]))
        self._kept.append("weights", np.concatenate([one.weights for one in told] or [np.zeros(0, np.float32)]))
        self._kept.append("ends", before + np.cumsum([len(one.entries) for one in told], dtype=np.int64))
        self._kept.commit({})

    def delete(self, rows: Sequence[int]) -> None:
        """See `Way`."""
        self._deleted.update(map(int, rows))

    def settle(self) -> None:
        """Turn the rows' lists into the entries' lists: one pass over them, without a model; they stay in memory."""
        sparse = need("scipy.sparse", "retrieve")
        starts = np.concatenate([[0], self._kept.read("ends")]).astype(np.int64)
        shape = (self.rows, self.encoder.size)
        held = sparse.csr_matrix((self._kept.read("weights"), self._kept.read("entries"), starts), shape=shape)
        live = np.ones(self.rows, np.float32)
        live[list(self._deleted)] = 0
        columns = (sparse.diags(live, dtype=np.float32) @ held).tocsc() if self.rows else held.tocsc()
        columns.eliminate_zeros()
        self._settled = columns, int(live.sum())

    def rank(self, queries: Sequence[str], k: int) -> Found:
        """See `Ranker`."""
        columns, live = self._settled
        rows, scores = [], []
        for asked in self._asked(queries, columns, live) if queries else ():
            told = np.zeros(columns.shape[0], np.float32)
            touched = np.zeros(columns.shape[0], bool)
            for entry, weight in zip(asked.entries.tolist(), asked.weights.tolist(), strict=True):
                some = slice(columns.indptr[entry], columns.indptr[entry + 1])
                # A row stands once at most in an entry's list.
                told[columns.indices[some]] += np.float32(weight) * columns.data[some]
                touched[columns.indices[some]] = True
            told[~touched] = -np.inf
            best = best_of(told, k)
            rows.append(best)
            scores.append(told[best])
        return found_of(rows, scores, k)

    def _asked(self, queries: Sequence[str], columns: Any, rows: int) -> list[Weighed]:
        if self.how.queries == "model":
            return self.encoder.queries(queries)
        told = self.encoder.entries(queries)
        holding: NDArray[np.float64] = np.diff(columns.indptr).astype(np.float64)
        idf = np.log1p((rows - holding + 0.5) / (holding + 0.5)).astype(np.float32)
        return [Weighed(entries, idf[entries]) for entries in told]
