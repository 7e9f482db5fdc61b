"""How good sets of labels are: micro and macro F1 and the share of exact sets, each with its interval.

Source: Lewis et al. 2004 (RCV1), section 5.1: micro-averaged F1 is that of all decisions together, macro-averaged F1
the mean of the labels' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap, wilson

__all__ = ["MemberScores", "member_scores", "member_table"]


@dataclass(frozen=True)
class MemberScores:
    """Scores of sets.

    Attributes:
        micro: F1 over all decisions.
        macro: the mean of the labels' F1; a label that is neither true nor said of any row is left out.
        exact: the share of rows whose set is right and no more.
        labels: label -> (F1, rows that have it).
    """

    micro: Interval
    macro: Interval
    exact: Interval
    labels: dict[str, tuple[float, int]]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        named = {name: getattr(self, name).to_json() for name in ("micro", "macro", "exact")}
        return {**named, "labels": {name: {"f1": f1, "rows": rows} for name, (f1, rows) in self.labels.items()}}

    def __str__(self) -> str:
        return f"micro F1 {self.micro}, macro F1 {self.macro}, exact {self.exact}"


def member_table(sets: Sequence[Sequence[str]], labels: Sequence[str]) -> NDArray[np.bool_]:
    """Return sets of labels as a table: (rows, labels).

    Raises:
        DataError: a set holds what is none of the labels.
    """
    place = {label: i for i, label in enumerate(labels)}
    table = np.zeros((len(sets), len(labels)), np.bool_)
    for row, some in enumerate(sets):
        for label in some:
            if label not in place:
                raise DataError(f"row {row + 1}: {label!r} is none of the {len(labels)} labels")
            table[row, place[label]] = True
    return table


def member_scores(
    truth: ArrayLike, said: ArrayLike, labels: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> MemberScores:
    """Score tables of sets.

    Args:
        truth: (rows, labels) true where a row has a label.
        said: (rows, labels) what was said of it.
        labels: their names.
        resamples: of the rows, for the intervals of both F1.
        seed: of the draws.

    Raises:
        DataError: tables that do not fit, or no row.
    """
    real, told = np.asarray(truth, np.bool_), np.asarray(said, np.bool_)
    if real.shape != told.shape or real.ndim != 2 or real.shape[1] != len(labels) or not len(real):
        raise DataError(f"sets of {len(labels)} labels: tables of {real.shape} and {told.shape}")
    counts = np.stack([real & told, real, told], axis=1).astype(np.float64)

    def micro(rows: NDArray[np.float64]) -> float:
        both, have, say = rows.sum(axis=(0, 2))
        return float(2 * both / (have + say)) if have + say else 1.0

    def macro(rows: NDArray[np.float64]) -> float:
        each = _f1(rows.sum(axis=0))
        return float(np.nanmean(each)) if not np.isnan(each).all() else 1.0

    both = {
        name: bootstrap(counts, statistic, resamples=resamples, method="percentile", seed=seed)
        for name, statistic in (("micro", micro), ("macro", macro))
    }
    sums = counts.sum(axis=0)
    f1 = _f1(sums)
    own = {labels[i]: (float(f1[i]), int(sums[1, i])) for i in np.flatnonzero(~np.isnan(f1)).tolist()}
    return MemberScores(both["micro"], both["macro"], wilson(int((real == told).all(axis=1).sum()), len(real)), own)


def _f1(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each label's F1, of (3, labels) sums; NaN of a label that is nowhere."""
    both, have, say = sums
    return np.asarray(np.where(have + say > 0, 2 * both / np.maximum(have + say, 1), np.nan))
