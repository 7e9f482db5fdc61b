"""The answer: small, large, cascade, or large at training time only; why; and what would flip it.

The rule, in order of what it costs to run: of the candidates that stand for the four answers, take the cheapest that is
shown not to be worse than any other by more than the margin (non-inferiority on the same held-out rows, one-sided
alpha). Where none is shown to be, take the most accurate and say that the rows do not settle it. A taught small model
costs what a small one costs to run, so it is the answer only where it is shown to be *better* than the small one
that people taught.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pilotfish.compete.candidate import TITLES, Candidate, Family, common_rows
from pilotfish.measure.intervals import Interval, NonInferiority, non_inferiority, paired_bootstrap

if TYPE_CHECKING:
    from pilotfish.compete.curve import Crossover

# The order of the answers by what they cost to run.
ORDER: tuple[Family, ...] = ("small", "taught", "cascade", "large")


@dataclass(frozen=True)
class Verdict:
    """The advice.

    Attributes:
        answer: "small", "large", "cascade" or "large at training time only".
        chosen: the candidate to deploy.
        reason: one sentence.
        flip: the one measurement that would change the answer, one sentence.
        settled: whether the rows show that the choice is not worse than any other by more than the margin.
        differences: chosen minus each other candidate, paired, on the rows they share.
        rows: how many held-out rows those are.
        margin: the loss of accuracy that is taken to not matter.
    """

    answer: str
    chosen: Candidate
    reason: str
    flip: str
    settled: bool
    differences: dict[str, Interval]
    rows: int
    margin: float

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        return {
            "answer": self.answer,
            "chosen": self.chosen.key,
            "reason": self.reason,
            "flip": self.flip,
            "settled": self.settled,
            "margin": self.margin,
            "rows": self.rows,
            "differences": {key: interval.to_json() for key, interval in self.differences.items()},
        }


def best_by_kept_rows(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the best score on rows kept back, the cheaper of equals; never by the test rows."""
    return max(candidates, key=lambda one: (round(one.chosen_by, 6), -(one.seconds or 0.0)))


def decide(
    contenders: Sequence[Candidate], *, margin: float, alpha: float = 0.05, crossing: Crossover | None = None
) -> Verdict:
    """Choose among one candidate of each family (those that were measured).

    Args:
        contenders: at most one each of small, taught, cascade and large; small must be there.
        margin: the loss of accuracy that does not matter, e.g. 0.02.
        alpha: the one-sided error rate of each comparison.
        crossing: where the small model's learning curve overtakes the large model.
    """
    by_family = {one.family: one for one in contenders}
    rows = common_rows(contenders)
    scores = {one.key: one.on(rows) for one in contenders}
    ordered = [by_family[family] for family in ORDER if family in by_family]
    tests = {
        (a.key, b.key): non_inferiority(scores[a.key], scores[b.key], margin, alpha)
        for a in ordered
        for b in ordered
        if a is not b
    }

    def holds(one: Candidate) -> bool:
        rivals = [other for other in ordered if other is not one]
        if one.family == "taught" and "small" in by_family and not tests[one.key, by_family["small"].key].superior:
            return False
        return all(tests[one.key, other.key].shown for other in rivals)

    standing = [one for one in ordered if holds(one)]
    settled = bool(standing)
    if settled:
        # A taught model that is shown to be better takes the small one's place: it costs the same to run.
        taught = by_family.get("taught")
        chosen = taught if taught in standing and taught is not None else standing[0]
    else:
        chosen = max(ordered, key=lambda one: (float(scores[one.key].mean()), -ORDER.index(one.family)))
    differences = {
        one.key: paired_bootstrap(scores[chosen.key], scores[one.key], method="percentile", resamples=5000)
        if (scores[chosen.key] != scores[one.key]).any()
        else tests[chosen.key, one.key].difference
        for one in ordered
        if one is not chosen
    }
    return Verdict(
        answer=TITLES[chosen.family],
        chosen=chosen,
        reason=_reason(chosen, by_family, differences, settled=settled, margin=margin, rows=len(rows)),
        flip=_flip(chosen, by_family, scores, tests, margin=margin, settled=settled, crossing=crossing),
        settled=settled,
        differences=differences,
        rows=len(rows),
        margin=margin,
    )


def _reason(
    chosen: Candidate,
    by_family: Mapping[Family, Candidate],
    differences: dict[str, Interval],
    *,
    settled: bool,
    margin: float,
    rows: int,
) -> str:
    """Say in one sentence how good the choice is, against what, and at what cost."""
    rival = by_family.get("large" if chosen.family == "small" else "small")
    text = f"{chosen.title} is right on {chosen.accuracy:.1%} of {len(chosen.rows):,} held-out rows"
    if rival is not None and rival.key in differences:
        gap = differences[rival.key]
        more = "more" if gap.value >= 0 else "fewer"
        text += (
            f", {abs(gap.value) * 100:.1f} points {more} than {rival.title} "
            f"[{gap.low * 100:+.1f}, {gap.high * 100:+.1f}] on the {rows:,} rows both answered"
        )
        text += _price(chosen, rival)
    if not settled:
        text += (
            f"; the rows do not show it to be within {margin:.1%} of every other candidate, it is only the best so far"
        )
    return text + "."


def _price(chosen: Candidate, rival: Candidate) -> str:
    """Compare what the two cost to run: in dollars where they have a price, else in seconds."""
    if rival.dollars and chosen.dollars is not None:
        return f", for ${chosen.dollars * 1000:.2f} instead of ${rival.dollars * 1000:.2f} a thousand rows"
    if chosen.dollars and rival.dollars is not None:
        return f", for ${chosen.dollars * 1000:.2f} instead of ${rival.dollars * 1000:.2f} a thousand rows"
    if not chosen.seconds or not rival.seconds:
        return ""
    ratio = rival.seconds / chosen.seconds
    return (
        f", {ratio:,.0f} times faster" if ratio >= 1.5 else f", {1 / ratio:,.0f} times slower" if ratio < 0.67 else ""
    )


def _flip(
    chosen: Candidate,
    by_family: Mapping[Family, Candidate],
    scores: dict[str, Any],
    tests: dict[tuple[str, str], NonInferiority],
    *,
    margin: float,
    settled: bool,
    crossing: Crossover | None,
) -> str:
    """Name the nearest measurement that would change the answer."""
    mine = float(scores[chosen.key].mean())
    others = [one for one in by_family.values() if one is not chosen]
    if not others:
        return "measuring a large model: none was given."
    if not settled:
        doubtful = [one for one in others if not tests[chosen.key, one.key].shown]
        nearest = max(doubtful or others, key=lambda one: float(scores[one.key].mean()))
        more, there = _rows_needed(scores[chosen.key], scores[nearest.key], margin), len(scores[chosen.key])
        return (
            f"about {more:,} held-out rows in all, where there are {there:,}, would settle it against {nearest.title}."
        )
    if chosen.family in ("small", "taught"):
        large = by_family.get("large")
        if large is None:
            return "measuring a large model: none was given."
        have = float(scores[large.key].mean())
        text = (
            f"a large model that is right on more than {min(1.0, mine + margin):.1%} of the same rows; "
            f"this one is right on {have:.1%}"
        )
        if crossing is not None and math.isfinite(crossing.labels) and crossing.labels > 0:
            text += f" (with fewer than {crossing} labels a class it is ahead of the small model)"
        return text + "."
    small = by_family["small"]
    gap = mine - float(scores[small.key].mean())
    dear = (chosen.dollars or 0.0) - (small.dollars or 0.0)
    if dear > 0 and gap > 0:
        return (
            f"an error that costs you less than ${dear / gap:.4f}: then the small model's savings outweigh its errors."
        )
    return (
        f"a small model that is right on more than {max(0.0, mine - margin):.1%} of the same rows; "
        f"this one is right on {mine - gap:.1%}."
    )


def _rows_needed(a: Any, b: Any, margin: float, z: float = 1.645 + 0.842) -> int:
    """Return the rows for 80% power to show non-inferiority, were the true difference and spread as seen."""
    difference = float((a - b).mean())
    spread = max(float((a - b).var()), 1.0 / len(a))
    return max(len(a) + 1, math.ceil((z / max(margin + difference, 0.002)) ** 2 * spread))
