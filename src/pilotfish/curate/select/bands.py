"""Bands of a value: head, middle and tail, in each language by its own cuts.

Source: Wenzek et al. 2020 (CCNet), section 4.2: perplexities have another scale in each language, so each is cut into
three parts of equal size. Marion et al. 2023 keep low, middle or high perplexities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.select._values import gathered, number
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError
from pilotfish.rows._row import Row

__all__ = ["Bands"]


class Bands(Barrier):
    """Cuts a column's range at quantiles, notes each row's band, and keeps some of the bands.

    Args:
        column: a number, as an earlier step has noted it; a row without one goes.
        names: of the bands, from the lowest values on.
        cuts: quantiles, one less than the names; None for bands of equal size.
        keep: which are kept; None for all of them.
        by: a column whose values, such as languages, have cuts of their own; None for the same cuts everywhere.
        into: the column for the band's name.

    Raises:
        ConfigError: cuts that are not in order, or names that are not there.
    """

    def __init__(
        self,
        column: str = "perplexity",
        *,
        names: Sequence[str] = ("head", "middle", "tail"),
        cuts: Sequence[float] | None = None,
        keep: Sequence[str] | None = None,
        by: str | None = None,
        into: str = "band",
    ) -> None:
        count = len(names)
        given = [i / count for i in range(1, count)] if cuts is None else [float(cut) for cut in cuts]
        if count < 2 or len(set(names)) < count:
            raise ConfigError(f"bands have two names or more, each once, not {list(names)}")
        if len(given) != count - 1 or sorted(set(given)) != given or not all(0 < cut < 1 for cut in given):
            raise ConfigError(f"{count} bands have {count - 1} cuts between 0 and 1, in rising order, not {given}")
        unknown = [name for name in keep or () if name not in names]
        if unknown or (keep is not None and not keep):
            raise ConfigError(f"bands to keep are of {', '.join(names)}, not {unknown or 'none'}")
        self.column, self.names, self.cuts = column, list(names), given
        self.keep, self.by, self.into = None if keep is None else list(keep), by, into

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Find the cuts of each group."""
        values, groups, known = gathered(rows, self.column, self.by, folder)
        cuts = []
        for group in range(len(known)):
            own = np.sort(values[groups == group])
            own = own[~np.isnan(own)]
            # The value at a cut begins the upper band, so equal values are never parted.
            cuts.append(
                [float(own[min(len(own) - 1, math.ceil(cut * len(own)))]) for cut in self.cuts] if len(own) else []
            )

        def decide(at: int, row: Row) -> Judged:
            value = number(row.get(self.column))
            if value is None:
                return Dropped(f"bands.none: no number in {self.column!r}")
            name = self.names[int(np.searchsorted(cuts[groups[at]], value, side="right"))]
            found = {self.into: name}
            if self.keep is None or name in self.keep:
                return found
            whose = "" if self.by is None else f" of {self.by} {known[groups[at]]!r}"
            return Dropped(f"bands.{name}: {self.column} {value:.4g} lies in the {name}{whose}", columns=found)

        return decide

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        return {name: value for name, value in super().config().items() if value is not None}
