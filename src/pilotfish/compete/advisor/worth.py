"""What an error costs, and which candidate is cheapest for it: the lower envelope of price plus errors.

A row costs what the candidate takes plus, for the share of it that is wrong, what an error costs the user; so of each
candidate the whole cost is a line in the price of an error, and the cheapest ones are the lower envelope of the lines.
Source: the expected cost of Chow 1970 and Elkan 2001 (The Foundations of Cost-Sensitive Learning), of whole models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pilotfish.compete.candidate import Candidate

__all__ = ["Span", "cheapest", "envelope", "target"]


@dataclass(frozen=True, slots=True)
class Span:
    """From which price of an error to which a candidate is the cheapest.

    Attributes:
        one: the candidate.
        low, high: of an error, in the unit of the costs; `high` may be infinite.
    """

    one: Candidate
    low: float
    high: float


def _cost(one: Candidate, unit: str) -> float | None:
    return one.dollars if unit == "USD" else one.seconds


def envelope(candidates: Sequence[Candidate], unit: str) -> list[Span]:
    """Return the spans, from errors that cost nothing to those that cost ever more.

    Args:
        candidates: baselines are passed over, and those whose cost is not known.
        unit: "USD" or "seconds", of a row.
    """
    lines = [
        (cost, 1.0 - one.accuracy.value, one)
        for one in candidates
        if one.family != "baseline" and (cost := _cost(one, unit)) is not None
    ]
    if not lines:
        return []
    # At an error's price of 0 the cheapest wins, of equals the one that errs less; then whoever crosses it first.
    cost, errs, now = min(lines, key=lambda line: (line[0], line[1]))
    low = 0.0
    found: list[Span] = []
    while True:
        crossings = [((c - cost) / (errs - e), e, c, one) for c, e, one in lines if e < errs]
        if not crossings:
            return [*found, Span(now, low, math.inf)]
        at, e, c, one = min(crossings, key=lambda crossing: (crossing[0], crossing[1]))
        if at > low:
            found.append(Span(now, low, at))
        low, cost, errs, now = max(at, low), c, e, one


def cheapest(spans: Sequence[Span], error: float) -> Candidate | None:
    """Return the candidate that is cheapest where an error costs so much; None without any."""
    return next((span.one for span in spans if span.low <= error <= span.high), None)


def target(one: Candidate, other: Candidate, error: float, unit: str = "USD") -> float | None:
    """Return the score that `one` needs for its whole cost to be that of `other`, where an error costs so much.

    None where a cost is not known or errors cost nothing; above 1 no score does.
    """
    mine, theirs = _cost(one, unit), _cost(other, unit)
    if mine is None or theirs is None or error <= 0:
        return None
    return other.accuracy.value + (mine - theirs) / error
