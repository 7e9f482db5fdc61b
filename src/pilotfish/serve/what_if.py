"""What another threshold would have done with logged traffic: how much deferred, at what cost, with what quality.

Nothing is asked again. Where the log does not hold what a request would have cost at the large model, it is estimated,
and the estimated share is told; a quality is told over the rows whose answer of the model in question was rated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Traffic", "WhatIf", "cascades_in"]

_VERDICTS = ("accepted", "deferred")


@dataclass(frozen=True)
class WhatIf:
    """What a threshold would have done; a reply whose score is below it is deferred.

    Attributes:
        threshold: the threshold.
        deferred: the share of requests that the large model would have answered.
        cost: dollars over all of them; None where the small model's costs are not known, or no request shows what the
            large one costs.
        estimated: the share of requests whose cost is an estimate.
        saved: dollars saved against asking the large model alone; None as with the cost.
        quality: the mean over the requests whose answer was rated; None without any.
        rated: the share of requests that this mean is over. Ratings come from what was answered at the time, so far
            from the threshold of then it may be few, and other ones.
    """

    threshold: float
    deferred: float
    cost: float | None
    estimated: float
    saved: float | None
    quality: float | None
    rated: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Traffic:
    """Requests that a cascade decided about, one element of each array a request; NaN where a value is not known.

    Attributes:
        model: the cascade's name.
        score: what it decided by.
        deferred: whether it asked the large model.
        small_cost: dollars of the small model's calls, and of those that judging took.
        large_cost: dollars of the large model's calls.
        large_known: where `large_cost` is not an estimate.
        small_quality: ratings of the small model's answers.
        large_quality: ratings of the large model's.
    """

    model: str
    score: NDArray[np.float64]
    deferred: NDArray[np.bool_]
    small_cost: NDArray[np.float64]
    large_cost: NDArray[np.float64]
    large_known: NDArray[np.bool_]
    small_quality: NDArray[np.float64]
    large_quality: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], model: str) -> Traffic:
        """Read the rows of a log that the cascade `model` decided about, by a score.

        What the large model would have cost where it was not asked is its cost a token of the small model's calls,
        over the requests that it was asked about.

        Raises:
            DataError: there is no such row.
        """
        found = [(row, said) for row in rows if (said := _decision(row, model)) is not None]
        if not found:
            raise DataError(f"no logged request shows a decision of {model!r} by a score")
        small = {call["model"] for row, said in found if said["verdict"] == "accepted" for call in row["calls"]} or {
            row["calls"][0]["model"] for row, _ in found
        }
        taken = [_read(row, said, small) for row, said in found]
        score, deferred, small_cost, large_cost, tokens, small_quality, large_quality = np.array(taken, float).T
        known = ~np.isnan(large_cost)
        if known.any() and tokens[known].sum() > 0:
            rate = large_cost[known].sum() / tokens[known].sum()
            large_cost = np.where(known, large_cost, rate * tokens)
        return cls(model, score, deferred > 0, small_cost, large_cost, known, small_quality, large_quality)

    def __len__(self) -> int:
        return len(self.score)

    @property
    def threshold(self) -> float | None:
        """A threshold that tells what was deferred from what was not; None where none does, as when it was changed."""
        if self.deferred.all() or not self.deferred.any():
            return None
        below, above = float(self.score[self.deferred].max()), float(self.score[~self.deferred].min())
        return None if below >= above else (below + above) / 2

    @property
    def now(self) -> WhatIf:
        """What was in fact done; its `threshold` is NaN where no single one tells it."""
        threshold = self.threshold
        return self._told(float("nan") if threshold is None else threshold, self.deferred)

    def at(self, threshold: float) -> WhatIf:
        """Return what a threshold would have done."""
        return self._told(threshold, self.score < threshold)

    def curve(self, points: int = 101) -> list[WhatIf]:
        """Return what thresholds would have done, from deferring nothing to deferring all, in equal shares."""
        shares = np.linspace(0, 1, max(2, points))
        ordered = np.sort(self.score)
        # Below the lowest score nothing is deferred; just above the highest, everything is.
        edges = np.concatenate([ordered, [np.nextafter(ordered[-1], np.inf)]])
        places = np.unique(np.round(shares * len(ordered)).astype(int))
        return [self.at(float(threshold)) for threshold in np.unique(edges[places])]

    def _told(self, threshold: float, deferred: NDArray[np.bool_]) -> WhatIf:
        cost = self.small_cost + np.where(deferred, self.large_cost, 0.0)
        quality = np.where(deferred, self.large_quality, self.small_quality)
        rated = ~np.isnan(quality)
        total, alone = float(cost.sum()), float(self.large_cost.sum())
        return WhatIf(
            threshold=threshold,
            deferred=float(deferred.mean()),
            cost=None if np.isnan(total) else total,
            estimated=float((deferred & ~self.large_known).mean()),
            saved=None if np.isnan(total) or np.isnan(alone) else alone - total,
            quality=float(quality[rated].mean()) if rated.any() else None,
            rated=float(rated.mean()),
        )


def cascades_in(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the cascades that decided by a score in these rows, the busiest first."""
    counts: dict[str, int] = {}
    for row in rows:
        for name in {one["model"] for one in row["decisions"]}:
            if _decision(row, name) is not None:
                counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))


def _decision(row: Mapping[str, Any], model: str) -> Mapping[str, Any] | None:
    """Return the cascade's decision about a request; of several of one name, which nest, the outermost."""
    if row["cached"] or not row["calls"] or row["status"] != 200:
        return None
    said = [one for one in row["decisions"] if one["model"] == model and one["verdict"] in _VERDICTS]
    return said[-1] if said and said[-1]["score"] is not None else None


def _read(row: Mapping[str, Any], said: Mapping[str, Any], small: set[str]) -> tuple[float, ...]:
    """Return score, deferred, small cost, large cost, the small calls' tokens, small and large quality."""
    deferred = said["verdict"] == "deferred"
    calls = row["calls"]
    # The small model's calls come first, and those that judging it took.
    at = next((i for i, call in enumerate(calls) if call["model"] not in small), len(calls)) if deferred else len(calls)
    first, second = calls[:at], calls[at:]
    tokens = sum(call["tokens_in"] + call["tokens_out"] for call in first)
    ratings = row.get("quality") or {}
    answered = row["answered_by"]
    by_small = [ratings[call["model"]] for call in first if call["model"] in ratings]
    by_large = [ratings[call["model"]] for call in second if call["model"] in ratings]
    if not deferred and answered in ratings:
        by_small = [ratings[answered]]
    others = [value for name, value in ratings.items() if name not in small]
    return (
        said["score"],
        float(deferred),
        _sum(first),
        _sum(second) if second else float("nan"),
        tokens,
        by_small[-1] if by_small else float("nan"),
        (by_large or others or [float("nan")])[-1],
    )


def _sum(calls: Sequence[Mapping[str, Any]]) -> float:
    """Return the dollars of calls; NaN where one is not known."""
    return sum((float("nan") if call["cost"] is None else call["cost"] for call in calls), 0.0)
