"""Meaning: one vector a row, by an encoder; all of them compared, or a graph of near ones walked.

Sources: Karpukhin et al. 2020 (DPR), section 3.1: the inner product of two vectors; Malkov and Yashunin 2018 (HNSW) for
the graph, by usearch, whose finds are scored again by the vectors themselves. Comparing all takes 2 x rows x dimension
operations a query: 200,000 rows of MiniLM's 384 numbers some 20 ms on two cores, so that a graph pays above that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.retrieve._appended import Appended
from pilotfish.retrieve._best import best_of, found_of, joined
from pilotfish.retrieve._graph import Graph, Walk
from pilotfish.retrieve.found import Found
from pilotfish.rows.vectors import unit_vectors

if TYPE_CHECKING:
    from pilotfish.retrieve._best import Floats

__all__ = ["Dense", "Encodes", "Vectors"]

_BLOCK = 1 << 24  # numbers of a block of vectors that is compared at once: 64 MB in float32
_QUERIES = 256


class Encodes(Protocol):
    """What makes vectors of texts: an `Encoder`."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return (texts, dimension)."""


@dataclass(frozen=True)
class Vectors:
    """How rows are kept and compared.

    Args:
        dtype: of the vectors on disk: "float32", or "float16": half the size, and a cosine that is off by 1e-3 at most.
        search: "exact" compares all; "graph" walks a graph of near ones.
        walk: of the graph.
        cosine: vectors are made of length 1, so that their product is their cosine; False takes them as they are.
        query_prefix, passage_prefix: what an encoder wants before a text, as E5's "query: " and "passage: ".

    Raises:
        ConfigError: another dtype or search.
    """

    dtype: Literal["float32", "float16"] = "float32"
    search: Literal["exact", "graph"] = "exact"
    walk: Walk = field(default_factory=Walk)
    cosine: bool = True
    query_prefix: str = ""
    passage_prefix: str = ""

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "float16"):
            raise ConfigError(f"vectors are kept in float32 or float16, not {self.dtype!r}")
        if self.search not in ("exact", "graph"):
            raise ConfigError(f"vectors are searched exact or by graph, not {self.search!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Vectors:
        """Read what `to_json` gave."""
        return cls(**{**told, "walk": Walk(**told["walk"])})


class Dense:
    """Rows of an index by their vectors.

    Args:
        folder: of its files.
        encoder: makes the vectors; the same one each time.
        how: how they are kept and compared.
    """

    name = "dense"
    patient = False

    def __init__(self, folder: Path, encoder: Encodes, how: Vectors | None = None) -> None:
        self.folder, self.encoder, self.how = folder, encoder, how or Vectors()
        self._kept = Appended(folder, {"vectors": (self.how.dtype, encoder.dimension)})
        self._gone = np.zeros(0, bool)
        self._graph = Graph(folder / "graph", encoder.dimension, self.how.walk) if self.how.search == "graph" else None

    @property
    def rows(self) -> int:
        """See `Way`."""
        return self._kept.sizes["vectors"]

    def add(self, texts: Sequence[str]) -> None:
        """See `Way`.

        Raises:
            DataError: the disk is full or refuses; a vector that is not finite.
        """
        self._kept.append("vectors", self._encoded([f"{self.how.passage_prefix}{text}" for text in texts]))
        self._kept.commit({})

    def delete(self, rows: Sequence[int]) -> None:
        """See `Way`."""
        self._grown()
        self._gone[np.asarray(rows, np.int64)] = True

    def settle(self) -> None:
        """Add new rows to the graph and take deleted ones out of it; of an exact search there is nothing to do."""
        self._grown()
        if self._graph is not None:
            self._graph.follow(self._kept.read("vectors"), self._gone)

    def rank(self, queries: Sequence[str], k: int) -> Found:
        """See `Ranker`."""
        return self.near(self.vectors(queries), k)

    def near(self, vectors: Floats, k: int) -> Found:
        """Return the k rows nearest to each of some vectors (queries, dimension), as `rank` does."""
        found = found_of([np.zeros(0, np.int64)] * len(vectors), [np.zeros(0, np.float32)] * len(vectors), k)
        rows = len(self._gone)  # those that are settled: another thread may be adding more
        held = self._kept.read("vectors")[:rows]
        if not rows or not len(vectors):
            return found
        if self._graph is not None:
            return self._scored(vectors, self._graph.near(vectors, k), held, k)
        step = max(1, _BLOCK // held.shape[1])
        for first in range(0, len(vectors), _QUERIES):
            some = vectors[first : first + _QUERIES]
            best = found_of([np.zeros(0, np.int64)] * len(some), [np.zeros(0, np.float32)] * len(some), k)
            for start in range(0, rows, step):
                # A product of so few columns is quickest this way round: the block is read once, in order.
                scores = (held[start : start + step].astype(np.float32, copy=False) @ some.T).T
                scores[:, self._gone[start : start + step]] = -np.inf
                places = [best_of(np.ascontiguousarray(row), k) for row in scores]
                taken = [row[place] for row, place in zip(scores, places, strict=True)]
                best = joined(best, found_of([place + start for place in places], taken, k))
            found.rows[first : first + _QUERIES], found.scores[first : first + _QUERIES] = best.rows, best.scores
        return found

    def vectors(self, queries: Sequence[str]) -> Floats:
        """Return queries as `near` and `scores` take them: (queries, dimension)."""
        return self._encoded([f"{self.how.query_prefix}{query}" for query in queries])

    def scores(self, vector: Floats, rows: Sequence[int]) -> Floats:
        """Return the score of one query's vector with each of some rows, as `near` would give it."""
        held: Floats = self._kept.read("vectors")[np.asarray(rows, np.int64)].astype(np.float32)
        return held @ vector

    def _scored(self, vectors: Floats, near: list[NDArray[np.int64]], held: NDArray[Any], k: int) -> Found:
        """Return what a graph found, by the scores of the vectors that are kept."""
        rows, scores = [], []
        for vector, some in zip(vectors, near, strict=True):
            some = np.sort(some[~self._gone[some]])  # noqa: PLW2901
            told = held[some].astype(np.float32) @ vector
            best = best_of(told, k)
            rows.append(some[best])
            scores.append(told[best])
        return found_of(rows, scores, k)

    def _encoded(self, texts: Sequence[str]) -> Floats:
        vectors = self.encoder.encode(texts)
        return unit_vectors(vectors) if self.how.cosine and len(vectors) else vectors

    def _grown(self) -> None:
        if len(self._gone) < self.rows:
            self._gone = np.concatenate([self._gone, np.zeros(self.rows - len(self._gone), bool)])
