"""Bootstrap intervals: percentile and BCa, over rows, over groups of rows, within strata.

Sources: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 (percentile) and 14 (BCa);
Davison and Hinkley 1997, section 5.3.2 (BCa in several strata); Koehn 2004 (paired bootstrap of two systems).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError
from pilotfish.measure._interval import Interval, z_score

Statistic = Callable[[NDArray[Any]], float]
Method = Literal["bca", "percentile"]

# Cells of the largest scratch array: 2 million indices are 16 MB, whatever the number of rows or resamples.
_CELLS = 2_000_000
# Few distinct values (0/1 scores and their differences) are resampled as counts, which is the same draw, but quicker.
_FEW = 32


def bootstrap(
    values: ArrayLike,
    statistic: Statistic | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    method: Method = "bca",
    seed: int = 0,
    groups: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> Interval:
    """Return a bootstrap interval of a statistic of rows, by default their mean.

    Where every row has the same value the bootstrap knows no spread and the interval has no width; for 0/1 scores
    prefer `wilson`, which stays sound there. With few groups (under about 20) the interval is too narrow.

    Args:
        values: (rows,) or (rows, anything) numbers.
        statistic: takes resampled rows, same shape, and returns a number; None is the mean, which is much quicker.
        level: two-sided confidence level.
        resamples: number of resamples; with a slow `statistic` 2,000 will do.
        method: "bca" corrects for bias and skew, "percentile" does not.
        seed: the same seed gives the same interval.
        groups: (rows,) ids; rows of one group (a document, a user) are drawn together, as they are not independent.
        strata: (rows,) ids; each stratum keeps its number of rows (or of groups, which must nest in strata).

    Raises:
        DataError: no rows, values that are not finite, columns of different length, or groups that straddle strata.
    """
    data = np.asarray(values, np.float64 if statistic is None else None)
    if data.ndim < 1 or not len(data):
        raise DataError("a bootstrap needs at least one row")
    if statistic is None and data.ndim != 1:
        raise DataError(f"the bootstrap of a mean takes one column; got shape {data.shape}: pass a `statistic`")
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise DataError("a bootstrap needs finite values; drop rows that are NaN or infinite")
    if resamples < 100:
        raise DataError(f"a bootstrap needs at least 100 resamples, got {resamples}")
    z_score(level)
    units = Units.of(len(data), groups, strata)
    rng = np.random.default_rng(seed)
    if statistic is None:
        value = float(data.mean())
        draws = mean_draws(data, units, resamples, rng)
        left_out = _mean_left_out(data, units) if method == "bca" else None
    else:
        value = float(statistic(data))
        draws = np.array([statistic(data[rows]) for rows in units.resampled(resamples, rng)], np.float64)
        left_out = _left_out(data, units, statistic) if method == "bca" else None
    low, high = _ends(value, draws, level, None if left_out is None else _acceleration(left_out, units))
    name = {"bca": "BCa bootstrap", "percentile": "percentile bootstrap"}[method]
    return Interval(value, low, high, level, f"{name}, {resamples:,} resamples{units.note}", len(units.members))


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    statistic: Statistic | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    method: Method = "bca",
    seed: int = 0,
    groups: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> Interval:
    """Return the interval of statistic(a) - statistic(b) for two systems scored on the same rows, in the same order.

    Each resample draws the same rows for both, so what the rows have in common cancels. The arguments are those of
    `bootstrap`; `a` and `b` are (rows,) or (rows, anything).

    Raises:
        DataError: shapes that differ, or what `bootstrap` raises.
    """
    left, right = np.asarray(a), np.asarray(b)
    if left.shape != right.shape:
        raise DataError(f"paired systems need scores of the same rows; got shapes {left.shape} and {right.shape}")
    options: dict[str, Any] = {
        "level": level,
        "resamples": resamples,
        "method": method,
        "seed": seed,
        "groups": groups,
        "strata": strata,
    }
    if statistic is None:
        interval = bootstrap(left.astype(np.float64) - right.astype(np.float64), **options)
    else:
        both = np.stack([left, right], axis=1)
        interval = bootstrap(both, lambda rows: statistic(rows[:, 0]) - statistic(rows[:, 1]), **options)
    paired = f"paired {interval.method}"
    return Interval(interval.value, interval.low, interval.high, interval.level, paired, interval.n)


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is drawn with replacement: rows, or groups of rows; `pools` lists the units of each stratum."""

    members: list[NDArray[np.int64]]
    pools: list[NDArray[np.int64]]
    grouped: bool
    note: str

    @classmethod
    def of(cls, rows: int, groups: ArrayLike | None, strata: ArrayLike | None) -> Units:
        everything = np.arange(rows)
        group = everything if groups is None else _codes("groups", groups, rows)
        stratum = np.zeros(rows, np.int64) if strata is None else _codes("strata", strata, rows)
        order = np.argsort(group, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
        stratum_of = np.array([stratum[member[0]] for member in members])
        if groups is not None and any((stratum[m] != s).any() for m, s in zip(members, stratum_of, strict=True)):
            raise DataError("a group lies in two strata; groups must nest within strata")
        pools = [np.flatnonzero(stratum_of == s) for s in range(int(stratum.max()) + 1)]
        note = (", over groups" if groups is not None else "") + (", within strata" if strata is not None else "")
        return cls(members, pools, groups is not None, note)

    def resampled(self, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Yield the row indices of each resample."""
        for _ in range(resamples):
            drawn = np.concatenate([rng.choice(pool, len(pool)) for pool in self.pools])
            yield np.concatenate([self.members[unit] for unit in drawn]) if self.grouped else drawn


def _codes(name: str, ids: ArrayLike, rows: int) -> NDArray[np.int64]:
    column = np.asarray(ids)
    if column.shape != (rows,):
        raise DataError(f"`{name}` needs one id a row: {rows} rows, but its shape is {column.shape}")
    return np.unique(column, return_inverse=True)[1].astype(np.int64)


def _sums_and_sizes(data: NDArray[np.float64], units: Units) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not units.grouped:
        return data, np.ones(len(data))
    sums = np.array([data[member].sum() for member in units.members])
    return sums, np.array([len(member) for member in units.members], np.float64)


def mean_draws(
    data: NDArray[np.float64], units: Units, resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the mean of each resample; with groups it is a ratio, as resamples then differ in their rows."""
    sums, sizes = _sums_and_sizes(data, units)
    total, count = np.zeros(resamples), np.zeros(resamples)
    for pool in units.pools:
        pairs, times = np.unique(np.stack([sums[pool], sizes[pool]], axis=1), axis=0, return_counts=True)
        if len(pairs) <= _FEW:
            counts = rng.multinomial(len(pool), times / len(pool), size=resamples)
            total += counts @ pairs[:, 0]
            count += counts @ pairs[:, 1]
            continue
        step = max(1, _CELLS // len(pool))
        for start in range(0, resamples, step):
            drawn = rng.choice(pool, (min(step, resamples - start), len(pool)))
            total[start : start + step] += sums[drawn].sum(axis=1)
            count[start : start + step] += sizes[drawn].sum(axis=1) if units.grouped else len(pool)
    return total / count


def _mean_left_out(data: NDArray[np.float64], units: Units) -> NDArray[np.float64]:
    sums, sizes = _sums_and_sizes(data, units)
    if len(sums) == 1:
        return np.array([data.mean()])
    left: NDArray[np.float64] = (sums.sum() - sums) / (sizes.sum() - sizes)
    return left


def _left_out(data: NDArray[Any], units: Units, statistic: Statistic) -> NDArray[np.float64]:
    if len(units.members) == 1:
        return np.array([statistic(data)], np.float64)
    keep = np.ones(len(data), bool)
    left = []
    for member in units.members:
        keep[member] = False
        left.append(statistic(data[keep]))
        keep[member] = True
    return np.array(left, np.float64)


def _acceleration(left_out: NDArray[np.float64], units: Units) -> float:
    """Return the skew of the leave-one-out values, each centred within its stratum."""
    pull = np.concatenate([left_out[pool].mean() - left_out[pool] for pool in units.pools])
    spread = float((pull**2).sum())
    # Sums of rounding errors have a skew too, but it means nothing.
    if spread <= (1e-12 * max(1.0, float(np.abs(left_out).max()))) ** 2 * len(pull):
        return 0.0
    return float((pull**3).sum()) / (6.0 * math.sqrt(spread) ** 3)


def _ends(value: float, draws: NDArray[np.float64], level: float, acceleration: float | None) -> tuple[float, float]:
    """Return the two quantiles of the draws; `acceleration` None means the plain percentile ones."""
    usable = draws[np.isfinite(draws)]
    if len(usable) < len(draws):
        raise DataError("the statistic is not a finite number on some resamples; is a class or group too small?")
    tail = (1.0 - level) / 2.0
    tails = [tail, 1.0 - tail]
    if acceleration is not None:
        # Draws equal to the value count half: discrete scores tie often, and all-or-none would bias z0.
        close = 1e-12 * max(1.0, abs(value))
        below = (float((draws < value - close).mean()) + float((draws <= value + close).mean())) / 2.0
        normal = NormalDist()
        shift = normal.inv_cdf(min(max(below, 0.5 / len(draws)), 1 - 0.5 / len(draws)))
        tails = [_bca_tail(normal.inv_cdf(each), shift, acceleration) for each in tails]
    low, high = np.quantile(draws, sorted(tails))
    return float(low), float(high)


def _bca_tail(z: float, shift: float, acceleration: float) -> float:
    denominator = 1.0 - acceleration * (shift + z)
    if denominator <= 0:  # so skewed that the correction runs off the end of the draws
        return 1.0 if z > 0 else 0.0
    return 0.5 * math.erfc(-(shift + (shift + z) / denominator) / math.sqrt(2.0))
