"""What judges told: of which rows, with what is missing counted, and what it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.intervals import Interval, bootstrap, wilson
from pilotfish.rows.asking import Bill

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Compared", "Judged", "Position", "Told", "share"]


@dataclass(frozen=True, eq=False)
class Told:
    """What both kinds of results share.

    Attributes:
        rows: that were asked about.
        places: (verdicts,) of the rows that have a verdict, among all, rising.
        why: of each of the others why it has none.
        later: those of them that an endpoint failed: another run asks about them, and no others.
        bill: what the calls took, those of earlier runs included.
    """

    rows: int
    places: NDArray[np.int64]
    why: Mapping[int, str] = field(default_factory=dict, kw_only=True)
    later: frozenset[int] = field(default=frozenset(), kw_only=True)
    bill: Bill = field(default_factory=Bill, kw_only=True)

    def __post_init__(self) -> None:
        if sorted((*self.places.tolist(), *self.why)) != list(range(self.rows)):
            raise DataError(
                f"of {self.rows} rows {len(self.places)} have verdicts, and {len(self.why)} a reason why not"
            )

    @property
    def missing(self) -> Counter[str]:
        """Kind of reason -> rows without a verdict."""
        return Counter(reason.partition(":")[0] for reason in self.why.values())

    @property
    def told(self) -> Interval | None:
        """The share of the rows that have a verdict; None of no rows."""
        return wilson(len(self.places), self.rows) if self.rows else None

    def spread(self, values: Sequence[Any] | NDArray[Any]) -> list[Any]:
        """Return values of the rows that have a verdict as one for each row that was asked about, None elsewhere."""
        found: list[Any] = [None] * self.rows
        for place, value in zip(self.places.tolist(), values, strict=True):
            found[place] = value
        return found

    def of_told(self, column: ArrayLike | Sequence[Any] | None) -> Any:
        """Return a column of all rows as one of those that have a verdict.

        Raises:
            DataError: it has not one value a row.
        """
        if column is None:
            return None
        given = np.asarray(column)
        if len(given) != self.rows:
            raise DataError(f"a column of {len(given)} values for {self.rows} rows")
        return given[self.places]


@dataclass(frozen=True, eq=False)
class Judged(Told):
    """Scores of single answers. A row without a readable score has none, and no number stands in for it.

    Attributes:
        scores: of the rows that have one; the parts are the criteria, where there are several.
        shares: criterion -> (verdicts, numbers of the scale), what the judge gives each number: all to one where it
            answered once.
        scale: (numbers,) of the rubric.
    """

    scores: Scores
    shares: Mapping[str, NDArray[np.float64]]
    scale: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.scores) != len(self.places):
            raise DataError(f"{len(self.scores)} scores of {len(self.places)} rows")

    @property
    def name(self) -> str:
        """The judge and its rubric."""
        return self.scores.metric

    @property
    def column(self) -> list[float | None]:
        """The score of each row that was asked about; None where there is none."""
        return self.spread(self.scores.values.tolist())

    def columns(self, name: str) -> list[dict[str, Any]]:
        """Return each row's columns: the score, its parts, and what is odd about it, or why it has none."""
        found = [{name: None, f"{name}.note": self.why.get(row)} for row in range(self.rows)]
        for number, place in enumerate(self.places.tolist()):
            found[place] = self.scores.row(number, name)
        return found

    def mean(self, *, groups: ArrayLike | None = None, seed: int = 0) -> Interval:
        """Return the mean over the rows that have a score; `groups` are of all rows."""
        return self.scores.mean(groups=self.of_told(groups), seed=seed)


@dataclass(frozen=True)
class Position:
    """What the order of two answers does to a judge that was asked in both.

    Attributes:
        first: how often the answer that comes first is preferred, a tie a half; .5 is no preference for a place.
        changed: how often the verdict is another when the answers change places.
        to_first: of those, rows whose verdict turns towards whichever comes first.
        to_second: rows whose verdict turns towards whichever comes second.
    """

    first: Interval
    changed: Interval
    to_first: int
    to_second: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        ends = {"first": self.first.to_json(), "changed": self.changed.to_json()}
        return {**ends, "to_first": self.to_first, "to_second": self.to_second}

    def __str__(self) -> str:
        return (
            f"the first answer is preferred {self.first}; the verdict turns with the order in {self.changed} of "
            f"the rows (to the first {self.to_first:,}, to the second {self.to_second:,})"
        )


@dataclass(frozen=True, eq=False)
class Compared(Told):
    """Verdicts on two answers a row.

    Attributes:
        name: the judge.
        verdicts: (verdicts,) 1 where the first column's answer is better, -1 where the second's, 0 for a tie.
        preferences: (verdicts,) how much the first is preferred, from 0 to 1, over both orders.
        orders: (verdicts, 2) the verdict in either order, as `verdicts`; None of judges that see no order.
        longer: (verdicts,) 1 where the first column's answer is the longer one, -1 the second's, 0 as long.
    """

    name: str
    verdicts: NDArray[np.int64]
    preferences: NDArray[np.float64]
    longer: NDArray[np.int64]
    orders: NDArray[np.int64] | None = None

    @property
    def column(self) -> list[int | None]:
        """The verdict of each row that was asked about; None where there is none."""
        return self.spread(self.verdicts.tolist())

    @property
    def ties(self) -> int:
        """How many verdicts are ties."""
        return int((self.verdicts == 0).sum())

    def columns(self, name: str) -> list[dict[str, Any]]:
        """Return each row's columns: "a", "b" or "tie" with the preference; None and why where there is none."""
        words = {1: "a", 0: "tie", -1: "b"}
        found: list[dict[str, Any]] = [{name: None, f"{name}.note": self.why.get(row)} for row in range(self.rows)]
        for place, verdict, preference in zip(self.places, self.verdicts, self.preferences, strict=True):
            found[place] = {name: words[int(verdict)], f"{name}.preference": float(preference)}
        return found

    def wins(self, *, groups: ArrayLike | None = None, seed: int = 0) -> Interval:
        """Return how often the first column's answer wins, a tie a half; `groups` are of all rows.

        Raises:
            DataError: no row has a verdict.
        """
        return share((self.verdicts + 1) / 2, groups=self.of_told(groups), seed=seed)

    def position(self, *, groups: ArrayLike | None = None, seed: int = 0) -> Position | None:
        """Return what the order does; None of judges that see none, or without verdicts."""
        if self.orders is None or not len(self.orders):
            return None
        given, swapped = self.orders.T
        first = (given - swapped) / 4 + 0.5
        changed = given != swapped
        return Position(
            share(first, groups=self.of_told(groups), seed=seed),
            wilson(int(changed.sum()), len(changed)),
            int((changed & (given > swapped)).sum()),
            int((changed & (given < swapped)).sum()),
        )

    def by_length(self) -> Interval | None:
        """Return how often the longer answer wins, of the verdicts that are no ties; None where lengths are equal."""
        clear = (self.verdicts != 0) & (self.longer != 0)
        if not clear.any():
            return None
        return wilson(int((self.verdicts[clear] == self.longer[clear]).sum()), int(clear.sum()))


def share(values: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0) -> Interval:
    """Return the mean of numbers from 0 to 1 with its interval; where all are alike that of as many hits and misses.

    A bootstrap of rows that are all alike knows no spread, and would be sure of what a few rows show.

    Raises:
        DataError: no rows.
    """
    given = np.asarray(values, np.float64)
    if len(given) and not np.ptp(given) > 0:
        units = len(given) if groups is None else len(np.unique(np.asarray(groups)))
        return wilson(float(given[0]) * units, units)
    return bootstrap(given, groups=groups, seed=seed)
