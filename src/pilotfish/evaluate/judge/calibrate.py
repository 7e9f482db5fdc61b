"""A judge's scores brought to people's: a curve from one to the other, and how wrong both are on rows it has not seen.

Sources: Barlow et al. 1972 (isotonic regression), as scikit-learn has it; Guo et al. 2017, section 2 (expected
calibration error), of numbers: the mean gap between people's mean and the judge's over bins of equal mass. What is
reported of calibrated scores is cross-fitted: each row's comes from a curve that its group had no part in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.agreement import correlation, ranks
from pilotfish.measure.folds import folds
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.measure.metrics import calibration

__all__ = ["Calibrated", "Curve", "Errors", "How", "calibrate", "errors"]

How = Literal["isotonic", "linear", "per-class"]
FORMAT, BINS, RESAMPLES = 1, 10, 1000
STRENGTH = 2.0  # rows of the overall mean that each class has beside its own
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """From a judge's scores to people's.

    Attributes:
        how: "isotonic": a line through points that never fall; "linear": one line, held to people's range; "per-class":
            one number for each score that was seen, another score has the nearest one's.
        scores: (points,) rising; of "linear" two.
        people: (points,) what they stand for.
    """

    how: How
    scores: tuple[float, ...]
    people: tuple[float, ...]

    def __call__(self, values: ArrayLike) -> Floats:
        """Return calibrated scores, (rows,)."""
        given, at = np.asarray(values, np.float64), np.array(self.scores)
        if self.how == "per-class":
            middles = (at[1:] + at[:-1]) / 2
            return np.asarray(np.array(self.people)[np.searchsorted(middles, given)], np.float64)
        # Beyond the ends what the ends stand for.
        return np.asarray(np.interp(given, at, self.people), np.float64)

    @classmethod
    def fit(cls, scores: ArrayLike, people: ArrayLike, how: How = "isotonic") -> Curve:
        """Learn the curve by least squares.

        Raises:
            DataError: no rows.
            ConfigError: no such curve.
            MissingExtra: scikit-learn is not installed.
        """
        x, y = np.asarray(scores, np.float64), np.asarray(people, np.float64)
        if how not in get_args(How):
            raise ConfigError(f"a calibration is one of {', '.join(get_args(How))}, not {how!r}")
        if not len(x):
            raise DataError("a calibration needs at least one row")
        if how == "isotonic":
            found = need("sklearn.isotonic", "train").IsotonicRegression().fit(x, y)
            return cls(how, _plain(found.X_thresholds_), _plain(found.y_thresholds_))
        if how == "per-class":
            values, which, counts = np.unique(x, return_inverse=True, return_counts=True)
            sums = np.bincount(which, weights=y)
            return cls(how, _plain(values), _plain((sums + STRENGTH * y.mean()) / (counts + STRENGTH)))
        spread = float(((x - x.mean()) ** 2).sum())
        slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if np.ptp(x) > 0 else 0.0
        ends = (float(x.min()), float(x.max()))
        if slope:
            # As far as people's scores go, so that a score that was not seen is on the same line.
            reach = sorted(float(x.mean() + (end - y.mean()) / slope) for end in (y.min(), y.max()))
            ends = (reach[0], reach[1])
        return cls(how, ends, _plain([y.mean() + slope * (end - x.mean()) for end in ends]))


@dataclass(frozen=True)
class Errors:
    """How far scores lie from people's, each with its interval.

    Attributes:
        bias: mean of score - people's.
        mse: mean squared error.
        ece: expected calibration error over 10 bins of equal mass; of few rows it is above its true value.
        pearson: correlation; 0 where one of both has no spread.
        spearman: of ranks.
    """

    bias: Interval
    mse: Interval
    ece: Interval
    pearson: Interval
    spearman: Interval

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {name: getattr(self, name).to_json() for name in _MEASURES}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Errors:
        """Read what `to_json` gave."""
        return cls(**{name: Interval(**told[name]) for name in _MEASURES})

    def __str__(self) -> str:
        return ", ".join(f"{name} {getattr(self, name)}" for name in _MEASURES)


@dataclass(frozen=True)
class Calibrated:
    """A curve, and what it is worth.

    Attributes:
        judge: whose scores it is of.
        curve: learnt on all rows.
        rows: that it was learnt on.
        before: of the scores as they are.
        after: of calibrated ones, cross-fitted.
        gain: by how much the cross-fitted mean squared error is below that of the scores as they are, paired.
    """

    judge: str
    curve: Curve
    rows: int
    before: Errors
    after: Errors
    gain: Interval

    def __call__(self, scores: Scores) -> Scores:
        """Return a judge's scores, calibrated.

        Raises:
            DataError: they are another judge's.
        """
        if scores.metric != self.judge:
            raise DataError(f"a calibration of {self.judge} says nothing of {scores.metric}")
        return replace(scores, metric=f"{scores.metric}, {self.curve.how}", values=self.curve(scores.values), parts={})

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        from pilotfish.rows._atomic import atomic

        told = {
            "format": FORMAT,
            "judge": self.judge,
            "curve": {"how": self.curve.how, "scores": self.curve.scores, "people": self.curve.people},
            "rows": self.rows,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "gain": self.gain.to_json(),
        }
        with atomic(Path(path)) as file:
            file.write(json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n")

    @classmethod
    def load(cls, path: str | Path) -> Calibrated:
        """Read what `save` wrote.

        Raises:
            ModelError: the file holds no calibration, or a damaged one.
        """
        with reading(path, "calibration of a judge"):
            told = facts_in(Path(path), "calibration", FORMAT)
            curve = told["curve"]
            parts = [tuple(float(one) for one in curve[name]) for name in ("scores", "people")]
            if curve["how"] not in get_args(How) or not parts[0] or len(parts[0]) != len(parts[1]):
                raise ValueError("no curve in it")
            before, after = (Errors.from_json(told[name]) for name in ("before", "after"))
            kept = Curve(curve["how"], parts[0], parts[1])
            return cls(told["judge"], kept, int(told["rows"]), before, after, Interval(**told["gain"]))

    def __str__(self) -> str:
        return f"as it is: {self.before}; {self.curve.how}, cross-fitted: {self.after}; squared error less {self.gain}"


def calibrate(
    scores: Scores,
    people: ArrayLike,
    how: How = "isotonic",
    *,
    groups: ArrayLike | None = None,
    count: int = 5,
    seed: int = 0,
) -> Calibrated:
    """Learn from people's scores of the same rows what a judge's scores stand for.

    Args:
        scores: the judge's.
        people: (rows,) people's, on any scale; the errors before compare them with the judge's as they are.
        how: see `Curve`.
        groups: (rows,) rows of one group (a prompt, a document) stay in one fold and are drawn together.
        count: of folds; fewer where there are fewer groups.
        seed: of folds and intervals.

    Raises:
        DataError: columns that do not fit, a number that is not finite, or fewer than two groups.
        ConfigError: no such curve.
    """
    x, y = _both(scores.values, people)
    group = np.arange(len(x)) if groups is None else np.asarray(groups)
    if len(group) != len(x):
        raise DataError(f"{len(group)} groups for {len(x)} rows")
    crossed = np.zeros(len(x))
    for taught, held in folds(group, max(2, min(count, len(np.unique(group)))), seed):
        crossed[held] = Curve.fit(x[taught], y[taught], how)(x[held])
    return Calibrated(
        scores.metric,
        Curve.fit(x, y, how),
        len(x),
        errors(x, y, groups=groups, seed=seed),
        errors(crossed, y, groups=groups, seed=seed),
        bootstrap((x - y) ** 2 - (crossed - y) ** 2, groups=groups, seed=seed),
    )


def errors(scores: ArrayLike, people: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0) -> Errors:
    """Return how far scores lie from people's.

    Raises:
        DataError: columns that do not fit, no rows, or a number that is not finite.
    """
    x, y = _both(scores, people)
    both = np.stack([x, y], axis=1)
    low, high = float(both.min()), float(both.max())

    def ece(rows: NDArray[Any]) -> float:
        if not high > low:
            return 0.0
        on_unit = np.clip((rows - low) / (high - low), 0.0, 1.0)
        return calibration(on_unit[:, 0], on_unit[:, 1], BINS, "equal-mass").ece * (high - low)

    def drawn(statistic: Callable[[NDArray[Any]], float]) -> Interval:
        return bootstrap(both, statistic, groups=groups, resamples=RESAMPLES, method="percentile", seed=seed)

    return Errors(
        bootstrap(x - y, groups=groups, seed=seed),
        bootstrap((x - y) ** 2, groups=groups, seed=seed),
        drawn(ece),
        drawn(correlation),
        drawn(lambda rows: correlation(np.stack([ranks(rows[:, 0]), ranks(rows[:, 1])], axis=1))),
    )


_MEASURES = ("bias", "mse", "ece", "pearson", "spearman")


def _both(scores: ArrayLike, people: ArrayLike) -> tuple[Floats, Floats]:
    try:
        x, y = np.asarray(scores, np.float64), np.asarray(people, np.float64)
    except (TypeError, ValueError):
        raise DataError("people's scores must be numbers") from None
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise DataError(f"a judge's scores and people's must be of the same rows: {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("a score is not finite")
    return x, y


def _plain(values: ArrayLike) -> tuple[float, ...]:
    return tuple(np.asarray(values, np.float64).tolist())
