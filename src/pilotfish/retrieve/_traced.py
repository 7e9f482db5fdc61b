"""Searching with an account of the models that were asked on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from pilotfish.model import Trace
from pilotfish.retrieve.found import Hit, Retriever

__all__ = ["Searched", "Tells", "Traced", "traced"]

Searched = tuple[list[list[Hit]], list[Trace]]


@runtime_checkable
class Tells(Retriever, Protocol):
    """A retriever that asks models, and says what they took."""

    def traced(self, queries: Sequence[str], k: int = 10) -> Searched:
        """Return what `search` does, and one trace a query."""


class Traced:
    """Mixin of retrievers that say what was asked: `search` is `traced` without the traces."""

    def traced(self, queries: Sequence[str], k: int = 10) -> Searched:
        """Return the best k passages of each query, and the calls of models that each took."""
        raise NotImplementedError

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """See `Retriever`."""
        return self.traced(queries, k)[0]


def traced(retriever: Retriever, queries: Sequence[str], k: int = 10) -> Searched:
    """Return what any retriever finds, and one trace a query: an empty one where it asks no model."""
    if isinstance(retriever, Tells):
        return retriever.traced(queries, k)
    return retriever.search(queries, k), [Trace() for _ in queries]
