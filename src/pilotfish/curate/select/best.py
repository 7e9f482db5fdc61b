"""The best rows by a column, a share of them or a number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.select._values import gathered, number
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError
from pilotfish.rows._row import Row

__all__ = ["Best"]


class Best(Barrier):
    """Keeps the rows with the highest values of a column; among equal ones the earlier.

    Args:
        column: a number, as an earlier step has noted it; a row without one goes.
        share: of the rows that come here; None where `count` says how many.
        count: rows; None where `share` says.
        lowest: the lowest values are the best.
        by: a column; that many, or that share, are kept of each of its values.

    Raises:
        ConfigError: not one of share and count, or one that is out of range.
    """

    def __init__(
        self,
        column: str,
        *,
        share: float | None = None,
        count: int | None = None,
        lowest: bool = False,
        by: str | None = None,
    ) -> None:
        if (share is None) == (count is None):
            raise ConfigError("say how many are kept: a share or a count")
        if share is not None and not 0 < share <= 1:
            raise ConfigError(f"the share that is kept lies above 0 and at most at 1, not {share}")
        if count is not None and count < 1:
            raise ConfigError(f"the count that is kept is 1 or more, not {count}")
        self.column, self.share, self.count, self.lowest, self.by = column, share, count, lowest, by

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Find which rows are kept."""
        values, groups, known = gathered(rows, self.column, self.by, folder)
        kept = np.zeros(len(values), dtype=bool)
        for group in range(len(known)):
            (own,) = np.nonzero((groups == group) & ~np.isnan(values))
            wanted = self.count if self.count is not None else round((self.share or 0.0) * len(own))
            ranked = values[own] if self.lowest else -values[own]
            kept[own[np.argsort(ranked, kind="stable")[: max(1, wanted)]]] = True
        end = "lowest" if self.lowest else "highest"
        some = f"{self.count:,}" if self.count is not None else f"{self.share:.4g} of all"
        whose = "" if self.by is None else f" of each {self.by}"

        def decide(at: int, row: Row) -> Judged:
            if kept[at]:
                return {}
            value = number(row.get(self.column))
            if value is None:
                return Dropped(f"best.none: no number in {self.column!r}")
            return Dropped(f"best: {self.column} {value:.4g} is not among the {end} {some}{whose}")

        return decide

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        return {name: value for name, value in super().config().items() if value is not None}
