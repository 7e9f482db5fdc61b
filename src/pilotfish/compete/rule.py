"""The rule that picks the answer, and how far the rows are from another one.

In order of what they cost to run, take the first candidate that is shown not to be worse than any other by the margin
(non-inferiority on the held-out rows that both answered, one-sided alpha). Where none is shown to be, take the most
accurate and say that the rows do not settle it. A distilled student costs what a small one costs to run, so it is the
answer only where it is shown to be *better* than the best small one that people taught, and than its own twin: the same
student with people's labels alone, without which it would have the merit of whatever else sets it apart.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.candidate import Candidate, Family
from pilotfish.measure.intervals import NonInferiority, non_inferiority

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A cascade that saves less than this share of the large model's cost is not worth having two models.
WORTHWHILE = 0.05
POWER = 1.645 + 0.842  # normal quantiles for a one-sided 5% test with 80% power


@dataclass(frozen=True)
class Contest:
    """The candidates that stand for the answers, scored on the same rows.

    Attributes:
        order: their families, the cheapest to run first.
        scores: family -> (rows,) 1 where right, or a grade of at most 1.
        margin: the loss of accuracy that does not matter.
        alpha: the one-sided error rate of each comparison.
        whole: family -> scores on every held-out row, for the families that answered them all: two of those are
            compared there, as the rows that the large model was asked about may be few.
        twin: scores of the distilled student's twin, on the same rows and on every one; None where there is none.
    """

    order: tuple[Family, ...]
    scores: Mapping[Family, NDArray[np.float64]]
    margin: float
    alpha: float = 0.05
    whole: Mapping[Family, NDArray[np.float64]] = field(default_factory=dict)
    twin: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def test(self, a: Family, b: Family) -> NonInferiority:
        """Test whether a is at most the margin worse than b."""
        return non_inferiority(*self.pair(a, b), self.margin, self.alpha)

    def pair(self, a: Family, b: Family) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the scores of two candidates on the most rows that both answered."""
        scores = self.whole if a in self.whole and b in self.whole else self.scores
        return scores[a], scores[b]

    def holds(self, one: Family) -> bool:
        """Whether a candidate is shown not to be worse than any other by the margin."""
        rivals = [other for other in self.order if other != one]
        return all(self.test(one, other).shown for other in rivals)

    def better_taught(self) -> bool:
        """Whether what the large model taught is shown to be better than what people alone taught."""
        if "taught" not in self.order or ("small" in self.order and not self.test("taught", "small").superior):
            return False
        if self.twin is None:
            return True
        mine, own = self.scores["taught"], self.twin[0]
        if "taught" in self.whole:
            mine, own = self.whole["taught"], self.twin[1]
        return non_inferiority(mine, own, self.margin, self.alpha).superior

    def choose(self) -> tuple[Family, bool]:
        """Return the choice, and whether the rows settle it."""
        if self.better_taught() and self.holds("taught"):
            return "taught", True
        for one in self.order:
            if one != "taught" and self.holds(one):
                return one, True
        # max takes the first of equals: the cheapest. Learning from the large model must have shown its worth.
        able = [one for one in self.order if one != "taught" or self.better_taught()]
        return max(able, key=lambda one: float(self.scores[one].mean())), False

    def with_more_right(self, one: Family, more: int) -> Contest:
        """Return the contest had `one` been right on `more` of the rows it was not (a seeded choice of them)."""
        wrong = np.random.default_rng(0).permutation(np.flatnonzero(self.scores[one] < 1))
        changed = self.scores[one].copy()
        changed[wrong[:more]] = 1.0
        # What it would be right on elsewhere is not supposed, so only the shared rows are left to compare on.
        return dataclasses.replace(
            self, scores={**self.scores, one: changed}, whole={} if one in self.whole else self.whole
        )


def running_order(by_family: Mapping[Family, Candidate]) -> tuple[Family, ...]:
    """Return the families by what they cost to run: small ones, then the cascade, then the large model.

    A cascade that hardly saves anything, as it defers nearly every row, comes after the large model alone.
    """
    order: list[Family] = [family for family in ("small", "taught") if family in by_family]
    both, large = by_family.get("cascade"), by_family.get("large")
    if both is not None and large is not None and not _saves(both, large):
        return (*order, "large", "cascade")
    return (*order, *(family for family in ("cascade", "large") if family in by_family))


def _saves(both: Candidate, large: Candidate) -> bool:
    if both.dollars is not None and large.dollars:
        return both.dollars <= (1 - WORTHWHILE) * large.dollars
    if both.seconds is not None and large.seconds:
        return both.seconds <= (1 - WORTHWHILE) * large.seconds
    return float(both.details.get("deferred", 0.0)) <= 1 - WORTHWHILE


def nearest_flip(contest: Contest) -> tuple[Family, int, Family] | None:
    """Return the candidate that changes the choice by the fewest more right answers, how many, and the new choice.

    None where no candidate changes it, were it right on every row.
    """
    chosen, _ = contest.choose()
    found: list[tuple[int, Family, Family]] = []
    for one in contest.order:
        if one == chosen:
            continue
        low, high = 0, int((contest.scores[one] < 1).sum())
        if not high or contest.with_more_right(one, high).choose()[0] == chosen:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if contest.with_more_right(one, middle).choose()[0] == chosen else (low, middle)
        found.append((high, one, contest.with_more_right(one, high).choose()[0]))
    if not found:
        return None
    more, one, then = min(found, key=lambda item: item[0])
    return one, more, then


def hopeful(contest: Contest) -> tuple[Family, int] | None:
    """Return a candidate cheaper than the choice that more rows are likely to show within the margin, and how many.

    None where there is none: where each cheaper one is worse than another by the margin or more, as far as is seen.
    """
    chosen, _ = contest.choose()
    for one in contest.order[: contest.order.index(chosen)]:
        mine = contest.scores[one]
        rivals = [contest.scores[other] for other in contest.order if other != one]
        if one != "taught" and all(float((mine - rival).mean()) > -contest.margin for rival in rivals):
            return one, max(rows_needed(mine, rival, contest.margin) for rival in rivals)
    return None


def rows_needed(a: NDArray[np.float64], b: NDArray[np.float64], margin: float) -> int:
    """Return the rows for 80% power to show that a is not worse than b, were difference and spread as seen."""
    difference = float((a - b).mean())
    spread = max(float((a - b).var()), 1.0 / len(a))
    return max(len(a) + 1, math.ceil((POWER / max(margin + difference, 0.002)) ** 2 * spread))
