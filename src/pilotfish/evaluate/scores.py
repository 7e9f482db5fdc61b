"""What a metric gives: a number a row with its parts, what was odd, and the mean with its interval."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Scores"]


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of rows by one metric.

    Attributes:
        metric: its name, with all that changes the numbers.
        values: (rows,) float64, finite.
        parts: further numbers of each row, (rows,) each: precision and recall, say.
        notes: of each row what was odd about it; "" where nothing was.

    Raises:
        DataError: another number of parts or notes than of values, or a value that is not finite.
    """

    metric: str
    values: NDArray[np.float64]
    parts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.notes:
            object.__setattr__(self, "notes", ("",) * len(self.values))
        lengths = {"notes": len(self.notes), **{name: len(column) for name, column in self.parts.items()}}
        for name, length in lengths.items():
            if length != len(self.values):
                raise DataError(f"{self.metric}: {len(self.values)} scores, {length} {name}")
        for name, numbers in {"score": self.values, **self.parts}.items():
            wrong = np.flatnonzero(~np.isfinite(numbers))
            if len(wrong):
                raise DataError(f"{self.metric}: row {int(wrong[0]) + 1}: its {name} is {numbers[wrong[0]]}")

    def __len__(self) -> int:
        return len(self.values)

    def mean(self, *, groups: ArrayLike | None = None, seed: int = 0) -> Interval:
        """Return the mean with its interval; rows of one group (an article, a prompt) are drawn together."""
        return bootstrap(self.values, groups=groups, seed=seed)

    def above(self, other: Scores, *, groups: ArrayLike | None = None, seed: int = 0) -> Interval:
        """Return by how much the mean lies above that of the same rows with other answers.

        Raises:
            DataError: another metric, or another number of rows.
        """
        if other.metric != self.metric:
            raise DataError(f"{self.metric} and {other.metric} are not on one scale")
        return paired_bootstrap(self.values, other.values, groups=groups, seed=seed)

    def take(self, rows: Sequence[int]) -> Scores:
        """Return some of the rows."""
        parts = {name: column[list(rows)] for name, column in self.parts.items()}
        return Scores(self.metric, self.values[list(rows)], parts, [self.notes[row] for row in rows])

    @classmethod
    def of_rows(cls, metric: str, rows: Iterable[Mapping[str, Any]], name: str) -> Scores:
        """Return what `row` wrote into rows, which are gone through once.

        Args:
            metric: its name, with all that changes the numbers.
            rows: of a run.
            name: of the columns.

        Raises:
            DataError: a row lacks its number.
        """
        values, notes = array("d"), []
        parts: dict[str, array[float]] = {}
        for number, row in enumerate(rows, 1):
            if not isinstance(row.get(name), float | int):
                raise DataError(f"row {number}: no score in {name!r}")
            values.append(row[name])
            notes.append(str(row.get(f"{name}.note", "")))
            for key in row:
                if key.startswith(f"{name}.") and key != f"{name}.note":
                    parts.setdefault(key.removeprefix(f"{name}."), array("d")).append(row[key])
        return cls(metric, np.array(values), {part: np.array(column) for part, column in parts.items()}, notes)

    def odd(self) -> dict[str, int]:
        """Return kind of oddity -> rows that have it, the commonest first."""
        counts: dict[str, int] = {}
        for note in self.notes:
            for one in note.split("; ") if note else ():
                kind = one.partition(":")[0]
                counts[kind] = counts.get(kind, 0) + 1
        return dict(sorted(counts.items(), key=lambda pair: -pair[1]))

    def row(self, number: int, name: str | None = None) -> dict[str, Any]:
        """Return one row's numbers and note as columns, named by the metric or otherwise."""
        name = name or self.metric
        found: dict[str, Any] = {name: float(self.values[number])}
        found |= {f"{name}.{part}": float(column[number]) for part, column in self.parts.items()}
        return found | ({f"{name}.note": self.notes[number]} if self.notes[number] else {})
