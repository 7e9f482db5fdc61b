"""How well a score sorts requests between a weak and a strong model: the deferral curve and what is read off it.

The curve gives the expected quality when a share of the requests, those of the highest score, goes to the strong model.
Between requests of equal score the order is random, so the curve is straight there: a score that takes few values
neither wins nor loses by the order of the rows.

Sources: PGR, CPT and APGR: Ong et al. 2024 (RouteLLM), section 4.1, equations 6 to 8; here APGR is the integral itself,
not a sum over ten points, and CPT is the first crossing. IBC: Aggarwal et al. 2023 (AutoMix), section 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError
from pilotfish.measure._bootstrap import bootstrap, paired_bootstrap
from pilotfish.measure._interval import Interval

__all__ = ["DeferralCurve", "Judged", "incremental_benefit", "judge", "oracle"]


@dataclass(frozen=True, eq=False)
class DeferralCurve:
    """Expected quality against the share of requests that the strong model answers.

    Attributes:
        shares: (points,) rising from 0 to 1; between two points the curve is straight.
        qualities: (points,) mean quality of all requests at those shares.
    """

    shares: NDArray[np.float64]
    qualities: NDArray[np.float64]

    @classmethod
    def of(cls, score: ArrayLike, weak: ArrayLike, strong: ArrayLike) -> DeferralCurve:
        """Return the curve of a score.

        Args:
            score: (rows,) how much a request needs the strong model; any scale, infinite values too.
            weak: (rows,) quality of the weak model's answer, more is better.
            strong: (rows,) quality of the strong one's.

        Raises:
            DataError: no rows, columns of different length, a quality that is not finite, or a score that is NaN.
        """
        s, w, g = (np.asarray(column, np.float64) for column in (score, weak, strong))
        if not (s.ndim == 1 and len(s) and s.shape == w.shape == g.shape):
            raise DataError(f"a deferral curve needs three columns of as many rows; {s.shape}, {w.shape}, {g.shape}")
        if np.isnan(s).any() or not (np.isfinite(w).all() and np.isfinite(g).all()):
            raise DataError("a deferral curve needs finite qualities and scores that are numbers")
        order = np.argsort(-s, kind="stable")
        ranked = s[order]
        gains = np.concatenate([[0.0], np.cumsum((g - w)[order])])
        # Ends of runs of equal scores.
        ends = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, [len(s)]])
        return cls(ends / len(s), (w.sum() + gains[ends]) / len(s))

    @property
    def weak(self) -> float:
        """The weak model's mean quality."""
        return float(self.qualities[0])

    @property
    def strong(self) -> float:
        """The strong model's mean quality."""
        return float(self.qualities[-1])

    @cached_property
    def area(self) -> float:
        """The mean quality over shares from 0 to 1; random order gives (weak + strong) / 2."""
        return float(((self.qualities[1:] + self.qualities[:-1]) / 2 * np.diff(self.shares)).sum())

    def quality_at(self, share: float) -> float:
        """Return the expected quality where this share goes to the strong model."""
        return float(np.interp(share, self.shares, self.qualities))

    def recovered(self, share: float) -> float:
        """Return the performance gap recovered (PGR) at a share: 0 is the weak model, 1 the strong one.

        Raises:
            DataError: the strong model is no better than the weak one, so there is no gap.
        """
        return (self.quality_at(share) - self.weak) / self._gap

    @property
    def mean_recovered(self) -> float:
        """The average performance gap recovered (APGR) over shares from 0 to 1; random order gives 0.5.

        Raises:
            DataError: there is no gap.
        """
        return (self.area - self.weak) / self._gap

    def share_for(self, recovered: float) -> float:
        """Return the call-performance threshold, CPT: the least share at which so much of the gap is recovered.

        It is the curve's *first* crossing; 1 where the curve reaches it nowhere else.

        Raises:
            DataError: there is no gap, or `recovered` lies outside 0..1.
        """
        if not 0 <= recovered <= 1:
            raise DataError(f"CPT takes a share of the gap between 0 and 1; got {recovered}")
        wanted = self.weak + recovered * self._gap
        # Rounding must not put the end, where the whole gap is recovered, below what is wanted.
        reached = np.flatnonzero(self.qualities >= wanted - 1e-12 * max(1.0, abs(wanted)))
        at = int(reached[0]) if len(reached) else len(self.shares) - 1
        if at == 0:
            return 0.0
        low, high = self.qualities[at - 1], self.qualities[at]
        part = 1.0 if high <= low else min(1.0, float((wanted - low) / (high - low)))
        return float(self.shares[at - 1] + part * (self.shares[at] - self.shares[at - 1]))

    @property
    def _gap(self) -> float:
        gap = self.strong - self.weak
        if gap <= 0:
            raise DataError(
                f"the strong model ({self.strong:.4g}) is no better than the weak one ({self.weak:.4g}) on these rows: "
                f"there is no gap to recover"
            )
        return gap


def oracle(weak: ArrayLike, strong: ArrayLike) -> NDArray[np.float64]:
    """Return the best score there can be, which has seen both answers' qualities: what the strong model gains."""
    return np.asarray(strong, np.float64) - np.asarray(weak, np.float64)


def incremental_benefit(small: tuple[float, float], large: tuple[float, float], system: tuple[float, float]) -> float:
    """Return how much more quality a unit of cost buys than going from small to large does: AutoMix's ΔIBC, 0.2 is 20%.

    Each argument is (mean cost, mean quality).

    Raises:
        DataError: the large model is not dearer and better than the small one, or the system costs no more than it.
    """
    if not (large[0] > small[0] and large[1] > small[1] and system[0] > small[0]):
        raise DataError("the incremental benefit needs a large model that is dearer and better, a system that costs")
    plain = (large[1] - small[1]) / (large[0] - small[0])
    return (system[1] - small[1]) / (system[0] - small[0]) / plain - 1


@dataclass(frozen=True)
class Judged:
    """One score's figures, with intervals over rows, or groups of rows.

    Attributes:
        name: the score's.
        apgr: average performance gap recovered; 0.5 is random order.
        cpt50: share of calls to the strong model that recovers half of the gap.
        cpt80: and 80%.
        over_length: APGR less that of the prompt's length alone, paired; None for the length itself.
    """

    name: str
    apgr: Interval
    cpt50: Interval
    cpt80: Interval
    over_length: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        over = None if self.over_length is None else self.over_length.to_json()
        figures = {name: getattr(self, name).to_json() for name in ("apgr", "cpt50", "cpt80")}
        return {"name": self.name, **figures, "over_length": over}


def judge(
    scores: Mapping[str, ArrayLike],
    weak: ArrayLike,
    strong: ArrayLike,
    lengths: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Judged]:
    """Judge scores beside what any of them must beat: random order, the prompt's length, and below the oracle.

    Args:
        scores: name -> (rows,) how much a request needs the strong model, from parts that did not learn from the row.
        weak: (rows,) quality of the weak model's answers.
        strong: (rows,) quality of the strong one's.
        lengths: (rows,) lengths of the prompts, the longer the more in need.
        groups: (rows,) ids of rows that are drawn together, such as those of one subject.
        resamples: of the bootstrap (percentile).
        seed: of the bootstrap.

    Raises:
        DataError: columns that do not fit, or no gap between the models.
    """
    w, g, length = (np.asarray(column, np.float64) for column in (weak, strong, lengths))
    everything = {"random": np.zeros(len(w)), "prompt length": length, **scores, "oracle": oracle(w, g)}
    options: dict[str, Any] = {"method": "percentile", "resamples": resamples, "seed": seed, "groups": groups}

    table = []
    for name, score in everything.items():
        rows = np.stack([np.asarray(score, np.float64), w, g], axis=1)
        apgr, half, most = (bootstrap(rows, one, **options) for one in (_apgr, partial(_cpt, 0.5), partial(_cpt, 0.8)))
        over = None
        if name != "prompt length":
            over = paired_bootstrap(rows, np.stack([length, w, g], axis=1), _apgr, **options)
        table.append(Judged(name, apgr, half, most, over))
    return table


def _apgr(rows: NDArray[Any]) -> float:
    return DeferralCurve.of(*rows.T).mean_recovered


def _cpt(recovered: float, rows: NDArray[Any]) -> float:
    return DeferralCurve.of(*rows.T).share_for(recovered)
