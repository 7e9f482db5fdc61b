"""What finding gives: passages with scores, or, within an index, the numbers of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Found", "Hit", "Passage", "Ranker", "Retriever"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text that can be found.

    Attributes:
        id: its name, one of a kind in an index.
        text: what is searched and read.
        title: of the document, "" where it has none.
        document: the id of the document that it is a piece of; its own id where it is whole.
        start, end: where it lies in the document's text, in characters; 0 and the text's length where it is whole.
        fields: what else the row held.
    """

    id: str
    text: str
    title: str = ""
    document: str = ""
    start: int = 0
    end: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def searched(self) -> str:
        """What is searched: the title, where there is one, before the text."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, and its score: larger is better; scores of different retrievers do not compare.

    Attributes:
        passage: what was found.
        score: by the retriever that found it.
        parts: the scores of its parts by their names, where it has any (a fusion, a re-ranking).
    """

    passage: Passage
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """Rows that were found for queries, best first.

    Attributes:
        rows: (queries, k) int64; -1 where there are no more.
        scores: (queries, k) float32; -inf where there are no more.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


@runtime_checkable
class Ranker(Protocol):
    """One way to find rows of an index. Equal scores go by the row, the smaller first."""

    @property
    def name(self) -> str:
        """The name that reports show."""

    def rank(self, queries: Sequence[str], k: int) -> Found:
        """Return the best k rows of each query, or all where there are fewer; deleted rows are never among them."""


@runtime_checkable
class Retriever(Protocol):
    """Anything that finds passages: an index by one of its ways, several of them fused, re-ranked, rewritten."""

    @property
    def name(self) -> str:
        """The name that traces and reports show."""

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """Return the best k passages of each query, best first; fewer where fewer are found."""
