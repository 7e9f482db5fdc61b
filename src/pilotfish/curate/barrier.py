"""A step that must have seen every row before it can judge one: it ends one run, and another begins behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pilotfish.curate.sift import Dropped
from pilotfish.rows._describe import describe
from pilotfish.rows._row import Row
from pilotfish.rows.stage import Stage

__all__ = ["Barrier", "Decide"]

# (a row's number among those that reached the barrier, from 0; the row) -> columns to put into it, or why it goes
Decide = Callable[[int, Row], Mapping[str, Any] | Dropped]


class Barrier(ABC):
    """A step of two passes: `look` goes through all rows, and what it returns judges each of them.

    Memory: the rows come one at a time, so what `look` holds of them decides how many there may be.
    """

    @property
    def title(self) -> str:
        """The name in reports."""
        return type(self).__name__

    @property
    def before(self) -> Stage | None:
        """A stage to put the rows through first, as one that scores them; a row that it drops goes as by this step."""
        return None

    @property
    def measure(self) -> str | None:
        """The column of a number from 0 to 1 that decides, for the report; None for none."""
        return None

    @abstractmethod
    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Go through the rows once and return what judges them.

        Args:
            rows: all that reached this step, in order.
            folder: for what is too large for memory; it is removed when the step is done.
        """

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome, as plain data."""
        return {name: describe(value) for name, value in vars(self).items() if not name.startswith("_")}
