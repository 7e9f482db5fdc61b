"""How far a metric judges as people do: by segment, within items, and by system, all with intervals.

Sources: Fabbri et al. 2021 (SummEval), section 5, and Deutsch et al. 2021 (A Statistical Analysis of Summarization
Evaluation Metrics), section 3: what is drawn again are the items (articles, prompts), for both sides at once; Kocmi et
al. 2021 (To Ship or Not to Ship), section 5: pairwise accuracy; Somers 1962: with the pairs that people tell apart as
the whole, (1 + D) / 2 is that accuracy with a metric's ties as halves, and of yes and no it is the area under the ROC
curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError, did_you_mean
from pilotfish.evaluate._agreement import agreements, by_counts, by_rows
from pilotfish.measure.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["LEVELS", "STATISTICS", "Agreement", "Meta", "agreements", "meta"]

LEVELS = ("segment", "item", "system")
STATISTICS = ("pearson", "spearman", "kendall", "pairwise")


@dataclass(frozen=True)
class Agreement:
    """One metric with people, on one level.

    Attributes:
        metric: its name.
        level: "segment" is all rows, "item" the mean over items of what is found within each, "system" the means of
            systems.
        pearson, spearman, kendall: correlations; Kendall's is tau-b.
        pairwise: of pairs that people tell apart, how many the metric orders alike; its ties are halves.
        units: rows, items or systems that it rests on.
    """

    metric: str
    level: str
    pearson: Interval
    spearman: Interval
    kendall: Interval
    pairwise: Interval
    units: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        told: dict[str, Any] = {"metric": self.metric, "level": self.level, "units": self.units}
        return told | {name: getattr(self, name).to_json() for name in STATISTICS}


@dataclass(frozen=True, eq=False)
class Meta:
    """Metrics beside people.

    Attributes:
        metrics: their names.
        levels: those that could be told.
        notes: why a level is missing, or items were left out.
        values: level -> (metrics, 4) in the order of `STATISTICS`.
        draws: level -> (draws, metrics, 4), the same items drawn for all metrics.
        units: level -> what it rests on.
    """

    metrics: tuple[str, ...]
    levels: tuple[str, ...]
    notes: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]
    draws: Mapping[str, NDArray[np.float64]]
    units: Mapping[str, int]
    confidence: float = 0.95
    _how: str = field(default="", repr=False)

    def of(self, metric: str, level: str = "segment") -> Agreement:
        """Return a metric's agreement.

        Raises:
            DataError: no such metric, or a level that could not be told.
        """
        at = self._at(metric, level)
        ends = [
            self._interval(float(self.values[level][at, one]), self.draws[level][:, at, one], level)
            for one in range(len(STATISTICS))
        ]
        return Agreement(metric, level, ends[0], ends[1], ends[2], ends[3], self.units[level])

    def above(self, metric: str, other: str, statistic: str = "pearson", level: str = "segment") -> Interval:
        """Return by how much a metric agrees better than another, over the same draws.

        Raises:
            DataError: no such metric, level or statistic.
        """
        if statistic not in STATISTICS:
            raise DataError(f"a statistic is one of {', '.join(STATISTICS)}, not {statistic!r}")
        one, two, what = self._at(metric, level), self._at(other, level), STATISTICS.index(statistic)
        value = self.values[level][one, what] - self.values[level][two, what]
        return self._interval(
            float(value), self.draws[level][:, one, what] - self.draws[level][:, two, what], level, "paired "
        )

    def __iter__(self) -> Iterator[Agreement]:
        """Go through all levels, the metrics of each from the one that agrees best."""
        for level in self.levels:
            order = np.argsort(-self.values[level][:, 1], kind="stable")
            for at in order:
                yield self.of(self.metrics[int(at)], level)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the draws as plain data."""
        return {"notes": list(self.notes), "agreements": [one.to_json() for one in self]}

    def _at(self, metric: str, level: str) -> int:
        if level not in self.values:
            why = "; ".join(note for note in self.notes if note.startswith(level)) or f"levels are {', '.join(LEVELS)}"
            raise DataError(f"no level {level!r}: {why}")
        if metric not in self.metrics:
            raise DataError(f"no metric {metric!r}{did_you_mean(metric, self.metrics)}")
        return self.metrics.index(metric)

    def _interval(self, value: float, draws: NDArray[np.float64], level: str, paired: str = "") -> Interval:
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(draws, [tail, 1 - tail])
        how = f"{paired}percentile bootstrap, {len(draws):,} resamples{self._how}"
        # A statistic of few pairs may lie beside all its draws.
        return Interval(value, min(low, value), max(high, value), self.confidence, how, self.units[level])


def meta(
    people: ArrayLike,
    metrics: Mapping[str, ArrayLike],
    *,
    items: ArrayLike | None = None,
    systems: ArrayLike | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Meta:
    """Return how each metric agrees with people.

    Args:
        people: (rows,) people's scores; yes and no as 1 and 0.
        metrics: name -> (rows,) scores. What is better the lower it is has to be given negated.
        items: (rows,) what was written about: rows of one are drawn together, and compared within it.
        systems: (rows,) who wrote it: means of three or more are compared.
        resamples: draws of items (of rows without any).
        level: two-sided confidence level.
        seed: of the draws.

    Raises:
        DataError: columns that do not fit, a number that is not finite, or people's scores all alike.
    """
    y = np.asarray(people, np.float64)
    table = {name: np.asarray(column, np.float64) for name, column in metrics.items()}
    for name, column in {"people's": y, **table}.items():
        if column.ndim != 1 or len(column) != len(y):
            raise DataError(f"{name} scores: {column.shape}, where people's are of {len(y)} rows")
        wrong = np.flatnonzero(~np.isfinite(column))
        if len(wrong):
            raise DataError(f"{name} scores: row {int(wrong[0]) + 1} is {column[wrong[0]]}")
    if not table or len(y) < 3:
        raise DataError(f"a metric and three rows are needed; there are {len(table)} and {len(y)}")
    if np.ptp(y) == 0:
        raise DataError("people's scores are all alike: there is nothing to agree with")
    columns = np.stack(list(table.values()))
    groups = _codes(items, len(y), "items")
    drawn = _Draws(columns, y, groups, resamples, seed)
    found: dict[str, tuple[NDArray[np.float64], NDArray[np.float64], int]] = {"segment": drawn.segments()}
    notes: list[str] = []
    if items is None:
        notes.append("item: rows have no items")
    else:
        _within(drawn, found, notes)
    if systems is None:
        notes.append("system: rows have no systems")
    else:
        codes = _codes(systems, len(y), "systems")
        count = int(codes.max()) + 1
        if count < 3:
            notes.append(f"system: {count} systems are too few to be correlated")
        else:
            found["system"] = drawn.systems(codes)
    return Meta(
        tuple(table),
        tuple(found),
        tuple(notes),
        {name: one[0] for name, one in found.items()},
        {name: one[1] for name, one in found.items()},
        {name: one[2] for name, one in found.items()},
        level,
        "" if items is None else f" of {int(groups.max()) + 1:,} items",
    )


def _within(drawn: _Draws, found: dict[str, Any], notes: list[str]) -> None:
    inside = drawn.items()
    told = ~np.isnan(inside[:, 0, 0])
    if told.sum() < 3:
        notes.append(f"item: people tell rows apart within {int(told.sum())} items, too few")
        return
    if not told.all():
        notes.append(f"item: {int((~told).sum()):,} of {len(told):,} left out, within which people tell no rows apart")
    some = inside[told]
    random = np.random.default_rng(drawn.seed)
    draws = np.stack([some[random.integers(len(some), size=len(some))].mean(axis=0) for _ in range(drawn.resamples)])
    found["item"] = some.mean(axis=0), draws, int(told.sum())


@dataclass(frozen=True, eq=False)
class _Draws:
    columns: NDArray[np.float64]
    people: NDArray[np.float64]
    groups: NDArray[np.int64]
    resamples: int
    seed: int

    def segments(self) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Return the values, (draws, metrics, 4) and the number of rows."""
        draws = np.stack([by_counts(column, self.people, self.counts) for column in self.columns], axis=1)
        # A draw in which people's are all alike says nothing; where they are common, neither does the rest.
        none = np.isnan(draws[:, 0, 0])
        if none.mean() > 0.05:
            raise DataError("in one draw of twenty people's scores are all alike: too few rows of one kind")
        return self._of(np.arange(len(self.people))), draws[~none], len(self.people)

    def systems(self, codes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Return the values, (draws, metrics, 4) and the number of systems."""
        member = np.eye(int(codes.max()) + 1)[codes]
        counts = np.concatenate([np.ones((1, len(codes))), self.counts])
        sizes = counts @ member
        # A draw without a row of some system says nothing of all of them.
        whole = np.asarray((sizes > 0).all(axis=1))
        means = [(counts * column) @ member / np.maximum(sizes, 1) for column in (self.people, *self.columns)]
        found = np.stack([by_rows(one[whole], means[0][whole]) for one in means[1:]], axis=1)
        told: NDArray[np.bool_] = np.logical_not(np.isnan(found[:, 0, 0]))
        if whole[1:].mean() < 0.5 or not told[0]:
            raise DataError("systems cannot be told apart: too few rows of each, or people's means are all alike")
        return found[0], found[1:][told[1:]], member.shape[1]

    def items(self) -> NDArray[np.float64]:
        """Return (items, metrics, 4), NaN where people tell nothing apart."""
        order = np.argsort(self.groups, kind="stable")
        ends = np.flatnonzero(np.diff(self.groups[order])) + 1
        return np.stack([self._of(rows) for rows in np.split(order, ends)])

    def _of(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.stack([agreements(column[rows], self.people[rows]) for column in self.columns])

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """How often each row is in each draw: (draws, rows); rows of one group go together."""
        random = np.random.default_rng(self.seed)
        count = int(self.groups.max()) + 1
        drawn = random.multinomial(count, np.full(count, 1 / count), size=self.resamples)
        return drawn[:, self.groups].astype(np.float64)


def _codes(ids: ArrayLike | None, rows: int, what: str) -> NDArray[np.int64]:
    if ids is None:
        return np.arange(rows)
    column = np.asarray(ids)
    if column.shape != (rows,):
        raise DataError(f"{what}: {column.shape}, where people's scores are of {rows} rows")
    return np.asarray(np.unique(column, return_inverse=True)[1], np.int64)
