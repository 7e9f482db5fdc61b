"""What every way of finding rows in an index can do: take texts in, forget rows, rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from pilotfish.retrieve.found import Ranker

__all__ = ["Way"]


@runtime_checkable
class Way(Ranker, Protocol):
    """One way of an index, with files of its own.

    The index's collection says which rows there are; a way that was killed, or that is new, is behind it, and is given
    what it lacks: so a way keeps no journal of its own.
    """

    @property
    def patient(self) -> bool:
        """Whether it takes all rows of a change together, rather than batch by batch: an iterator then."""

    @property
    def rows(self) -> int:
        """How many rows it holds, deleted ones among them; all of them survive the end of the process."""

    def add(self, texts: Any) -> None:
        """Take in the texts of the next rows: a list, or, where it is patient, an iterator.

        They last when this returns, and are found after `settle`.
        """

    def delete(self, rows: Sequence[int]) -> None:
        """Forget rows: they are found no more after `settle`. Rows that were forgotten before change nothing."""

    def settle(self) -> None:
        """Make what is derived from the rows; called when a change is whole, and when an index is opened."""
