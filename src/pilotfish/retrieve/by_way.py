"""One way of an index as a retriever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilotfish.errors import ConfigError
from pilotfish.retrieve.found import Found, Hit

if TYPE_CHECKING:
    from pilotfish.retrieve.index import Index

__all__ = ["ByWay"]


class ByWay:
    """A retriever by one way of an index.

    Args:
        index: where.
        way: its name.
        name: in reports; the way's by default.
    """

    def __init__(self, index: Index, way: str, name: str | None = None) -> None:
        self.index, self.way, self.name = index, way, name or way

    def named(self, name: str) -> ByWay:
        """Return it under another name in reports."""
        return ByWay(self.index, self.way, name)

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """See `Retriever`."""
        found = self.rank(queries, k)
        rows = [[int(row) for row in some if row >= 0] for some in found.rows]
        wanted = sorted({row for some in rows for row in some})
        held = dict(zip(wanted, self.index.collection.passages(wanted), strict=True))
        return [
            [Hit(held[row], float(score)) for row, score in zip(some, scores, strict=False)]
            for some, scores in zip(rows, found.scores, strict=True)
        ]

    def rank(self, queries: Sequence[str], k: int) -> Found:
        """See `Ranker`.

        Raises:
            ConfigError: k is below 1.
        """
        if k < 1:
            raise ConfigError(f"k is 1 or more, not {k}")
        return self.index.way(self.way).rank(queries, k)
