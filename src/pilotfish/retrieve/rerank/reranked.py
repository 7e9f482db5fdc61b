"""A retriever whose first finds are read again by a better judge, and put in its order.

Source: Nogueira and Cho 2019 (Passage Re-ranking with BERT), section 2; Nogueira et al. 2019 (multi-stage ranking).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.model import Call, Trace
from pilotfish.retrieve._traced import Searched, Traced, traced
from pilotfish.retrieve.found import Hit, Retriever

__all__ = ["Reads", "Relevance", "Reranked"]


@dataclass(frozen=True)
class Relevance:
    """How relevant passages are to queries.

    Attributes:
        scores: (pairs,) larger is better.
        tokens: (pairs,) tokens that were read.
    """

    scores: NDArray[np.float64]
    tokens: NDArray[np.int64]


@runtime_checkable
class Reads(Protocol):
    """What judges pairs of a query and a passage."""

    @property
    def name(self) -> str:
        """The name that traces and reports show."""

    def read(self, pairs: Sequence[tuple[str, str]]) -> Relevance:
        """Return how relevant the passage of each (query, passage) is to its query."""


@dataclass(frozen=True)
class Reranked(Traced):
    """A retriever in the order of a reader; of equal scores in the order before.

    Args:
        retriever: finds.
        reader: orders what was found.
        depth: how many of each query it reads; no more are found, if k is larger.
        name: in reports.

    Raises:
        ConfigError: a depth below 1.
    """

    retriever: Retriever
    reader: Reads
    depth: int = 50
    name: str = "reranked"

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ConfigError(f"at least one passage is read again, not {self.depth}")

    def traced(self, queries: Sequence[str], k: int = 10) -> Searched:
        """See `Retriever` and `Traced`; a hit's parts are the two scores."""
        lists, traces = traced(self.retriever, queries, self.depth)
        pairs = [(query, hit.passage.searched) for query, hits in zip(queries, lists, strict=True) for hit in hits]
        if not pairs:
            return lists, traces
        started = time.perf_counter()
        told = self.reader.read(pairs)
        each = (time.perf_counter() - started) / len(pairs)
        ordered: list[list[Hit]] = []
        accounts: list[Trace] = []
        at = 0
        for hits, trace in zip(lists, traces, strict=True):
            some = slice(at, at + len(hits))
            at += len(hits)
            scores = told.scores[some]
            better = [
                Hit(hit.passage, float(score), {self.retriever.name: hit.score, self.reader.name: float(score)})
                for hit, score in zip(hits, scores, strict=True)
            ]
            ordered.append([better[place] for place in np.argsort(-scores, kind="stable")][:k])
            call = Call(self.reader.name, "reranker", int(told.tokens[some].sum()), 0, each * len(hits))
            accounts.append(trace + Trace((call,)) if hits else trace)
        return ordered, accounts
