"""Calibrate a collaboration to a promise: a threshold whose quality, or cost, is vouched for on rows kept apart.

The rows fall into three parts before anything is looked at. The first proposes thresholds (and teaches a learned
score); the second tests them, the safest first, by evidence that holds for any bounded quality (`measure.promise`); the
third, which neither saw, tells what the chosen one does.

Source: Angelopoulos et al. 2021 (Learn then Test), section 3.2; for deferral: Jung et al. 2024 (Trust or Escalate),
section 2.2, fixed-sequence testing of a threshold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.measure.promise import evidence, last_kept, normal_evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.infer.trial import Outcome, Trials

__all__ = ["PARTS", "Calibration", "Promise", "calibrate", "parted", "threshold"]

FORMAT = 1
PARTS = (0.2, 0.5, 0.3)  # of the rows: to propose, to test, to tell
STEPS = 60  # thresholds that are proposed, at most
SCORES = 2000  # that are kept to tell drift by, at most


@dataclass(frozen=True)
class Promise:
    """What is promised, of the mean over requests to come.

    Attributes:
        what: "quality": at least `share` of the last model's quality; "cost": at most `share` of what asking the last
            model every time costs (or, where prices are not known, `share` of the requests go to it).
        share: the share.
        risk: the probability, over the rows that the threshold is tested on, that the promise does not hold.
        horizon: None speaks of the long run; a number of the next so many requests.
        method: "finite" holds for any number of rows; "normal" takes means for normal, and so gives away less.
    """

    what: Literal["quality", "cost"]
    share: float
    risk: float = 0.1
    horizon: int | None = None
    method: Literal["finite", "normal"] = "finite"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not 0 < self.risk < 1:
            raise ConfigError("a promise is a share between 0 and 1, at a risk between 0 and 1")

    def __str__(self) -> str:
        of = "the last model's quality" if self.what == "quality" else "the cost of asking the last model every time"
        when = "in the long run" if self.horizon is None else f"over the next {self.horizon:,} requests"
        least = "at least" if self.what == "quality" else "at most"
        return f"{least} {self.share:g} of {of} {when}, at a risk of {self.risk:g}"


@dataclass(frozen=True)
class Calibration:
    """A threshold and what is vouched for, with what it was found on.

    Attributes:
        promise: what is promised.
        score: what the threshold is of, as the file has it.
        above: the threshold; infinite where only asking the last model every time keeps a promise of quality.
        models: the models' names, in order.
        rows: how many rows proposed, tested and told.
        quality: on the rows that told.
        best: the last model's quality on the same rows.
        kept: quality as a share of the last model's.
        spent: cost as a share of asking the last model every time (of its calls, where prices are not known).
        shares: of the requests, by the model that answered.
        paid: whether `spent` is of dollars.
        scores: of the rows that tested, to tell drift by: sorted.
        made: when, ISO 8601.
    """

    promise: Promise
    score: Mapping[str, Any]
    above: float
    models: tuple[str, ...]
    rows: tuple[int, int, int]
    quality: Interval
    best: Interval
    kept: Interval
    spent: Interval
    shares: tuple[float, ...]
    paid: bool
    scores: tuple[float, ...]
    made: str = ""

    @property
    def deferred(self) -> float:
        """The share of the requests that the first model did not answer."""
        return 1.0 - self.shares[0]

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as plain data; an infinite threshold is null."""
        intervals = {name: getattr(self, name).to_json() for name in ("quality", "best", "kept", "spent")}
        return {
            "format": FORMAT,
            "promise": asdict(self.promise),
            "score": dict(self.score),
            "above": None if math.isinf(self.above) else self.above,
            "models": list(self.models),
            "rows": list(self.rows),
            **intervals,
            "shares": list(self.shares),
            "paid": self.paid,
            "scores": list(self.scores),
            "made": self.made,
        }

    def save(self, path: str | Path) -> None:
        """Write the calibration as JSON, whole or not at all."""
        from pilotfish.rows._atomic import atomic

        with atomic(Path(path)) as file:
            file.write(json.dumps(self.to_json(), ensure_ascii=False, indent=1).encode() + b"\n")

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read what `save` wrote.

        Raises:
            ConfigError: it cannot be read, or is no calibration of this format.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise ConfigError(f"{path}: a calibration of format {data['format']}; this version reads {FORMAT}")
            intervals = {name: Interval(**data[name]) for name in ("quality", "best", "kept", "spent")}
            return cls(
                Promise(**data["promise"]),
                data["score"],
                math.inf if data["above"] is None else float(data["above"]),
                tuple(data["models"]),
                tuple(data["rows"]),
                **intervals,
                shares=tuple(data["shares"]),
                paid=data["paid"],
                scores=tuple(map(float, data["scores"])),
                made=data["made"],
            )
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ConfigError(f"{path}: not a calibration: {error}") from None


def parted(rows: int, seed: int, parts: Sequence[float] = PARTS) -> list[NDArray[np.int64]]:
    """Return the rows that propose, test and tell, drawn by a seed.

    Raises:
        DataError: too few rows for each part to have two.
    """
    order = np.random.default_rng(seed).permutation(rows)
    ends = np.round(np.cumsum(parts) / np.sum(parts) * rows).astype(int)
    found = [order[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    if min(map(len, found)) < 2:
        raise DataError(f"{rows} rows are too few to propose, test and tell: give at least ten")
    return found


def calibrate(
    trials: Trials,
    promise: Promise,
    *,
    score: Mapping[str, Any],
    scores: NDArray[np.float64] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    parts: Sequence[NDArray[np.int64]] | None = None,
    seed: int = 0,
) -> Calibration:
    """Return the threshold that sends least to the last model and keeps a promise of quality, or most and one of cost.

    Args:
        trials: what all models made of the rows.
        promise: what is promised.
        score: what the threshold is of, to be written down.
        scores: others than the trial's own, such as a learned head's; those of the first part may be seen in training.
        bounds: between which every quality lies.
        parts: the rows that propose, test and tell, where they were drawn before; else they are drawn by `seed`.
        seed: of the parts.

    Raises:
        DataError: a quality beyond the bounds, too few rows, or nothing to accept by.
    """
    found = trials.scores if scores is None else scores
    propose, test, tell = parts or parted(len(trials), seed)
    above = threshold(trials.take(test), found[test], found[propose], promise, bounds)
    told = trials.take(tell)
    outcome = told.cascaded(above, found[tell])
    dear, spent = told.prices[:, -1], told.spent(outcome)
    best = told.grades[:, -1]
    ratio: dict[str, Any] = {"method": "percentile", "resamples": 2000, "seed": seed}
    first = np.sort(found[test, 0])
    return Calibration(
        promise,
        score,
        above,
        trials.models,
        (len(propose), len(test), len(tell)),
        quality=bootstrap(outcome.quality, seed=seed),
        best=bootstrap(best, seed=seed),
        kept=bootstrap(np.stack([outcome.quality, best], axis=1), _ratio, **ratio),
        spent=bootstrap(np.stack([spent, dear], axis=1), _ratio, **ratio),
        shares=tuple(float((outcome.answered == i).mean()) for i in range(len(trials.models))),
        paid=trials.paid,
        scores=tuple((first if len(first) <= SCORES else np.quantile(first, np.linspace(0, 1, SCORES))).tolist()),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def threshold(
    trials: Trials,
    scores: NDArray[np.float64],
    proposed: NDArray[np.float64],
    promise: Promise,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> float:
    """Return the threshold alone; infinite where only asking the last model every time keeps a promise of quality.

    Args:
        trials: of the rows that test.
        scores: (rows, models - 1) of the same rows.
        proposed: scores of other rows, which thresholds are taken from.
        promise: what is promised.
        bounds: between which every quality lies.

    Raises:
        DataError: a quality beyond the bounds, no score, or a promise of cost that nothing keeps.
    """
    if scores.shape[1] == 0:
        raise DataError("there is no score to calibrate a threshold of")
    low, high = bounds
    if (trials.grades < low).any() or (trials.grades > high).any():
        seen = f"{trials.grades.min():g} to {trials.grades.max():g}"
        raise DataError(f"qualities lie from {seen}, beyond the bounds {low:g} to {high:g}")
    candidates = _candidates(proposed)
    if promise.what == "cost":
        candidates = candidates[::-1]

    def judged(at: int) -> float:
        gains, least, most = _gains(trials, trials.cascaded(candidates[at], scores), promise, bounds)
        if promise.method == "normal":
            return normal_evidence(gains, horizon=promise.horizon)
        return evidence(gains, least, most, horizon=promise.horizon)

    at = last_kept(len(candidates), judged, promise.risk)
    if at is not None:
        return float(candidates[at])
    if promise.what == "quality":
        return math.inf  # the last model alone: the promise holds by what it means
    raise DataError(f"nothing keeps the promise of {promise}: even the first model alone is not shown to")


def _candidates(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what to try, from sending nearly all on to sending nothing on."""
    values = np.unique(scores[np.isfinite(scores)])
    if len(values) > STEPS:
        values = np.unique(np.quantile(values, np.linspace(0, 1, STEPS)))
    return values[::-1]


def _gains(
    trials: Trials, outcome: Outcome, promise: Promise, bounds: tuple[float, float]
) -> tuple[NDArray[np.float64], float, float]:
    """Return by how much each row keeps the promise, and between what that can lie."""
    if promise.what == "quality":
        low, high = bounds
        least, most = low - promise.share * high, high - promise.share * low
        return outcome.quality - promise.share * trials.grades[:, -1], least, most
    whole, spent = trials.prices[:, -1], trials.spent(outcome)
    # What a request can cost is taken to be at most four times the dearest seen.
    most = 4 * float(max(whole.max(), spent.max(), 1e-12))
    return promise.share * whole - spent, -most, promise.share * most


def _ratio(rows: NDArray[Any]) -> float:
    over, under = rows.mean(axis=0)
    return float(over / under) if under else math.nan
