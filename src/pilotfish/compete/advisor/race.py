"""Successive halving: all ways answer a few rows, the better half of each kind answers twice as many, and so on.

Source: Jamieson and Talwalkar 2016 (Non-stochastic Best Arm Identification), algorithm 1. The rows are those to choose
by; what is measured at the end are others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilotfish.compete.advisor.desk import Answers, Desk
from pilotfish.compete.advisor.paying import SpentError
from pilotfish.errors import PilotfishError, UpstreamError

if TYPE_CHECKING:
    from pilotfish.compete.advisor.ways import Way
    from pilotfish.compete.watch import Budget, Watch

__all__ = ["FIRST", "Lane", "Race", "raced"]

FIRST = 12  # rows that every way answers
_PROBE = 2  # rows that tell what a way takes
_ANCHORS = ("small", "large")


@dataclass(eq=False)
class Lane:
    """A way in the race.

    Attributes:
        way: it.
        desk: None until it is first asked.
        answers: to the rows to choose by, as far as it came.
        out: why it is no longer in the race, "" while it is.
        cut: it lost its place to better ones, or does not work; else it only ran out of budget, and stands as it is.
    """

    way: Way
    desk: Desk | None = None
    answers: Answers | None = None
    out: str = ""
    cut: bool = False

    @property
    def mean(self) -> float:
        """The mean mark so far."""
        return self.answers.mean if self.answers is not None else float("-inf")

    @property
    def stands(self) -> bool:
        """Whether it has answers, and was not put out for them."""
        return self.answers is not None and not self.cut

    def mean_of(self, rows: int) -> float:
        """Return the mean mark of the first rows."""
        return float(self.answers.marks[:rows].mean()) if self.answers is not None and rows else float("-inf")


@dataclass
class Race:
    """Who ran, and how far.

    Attributes:
        lanes: by the key of the way.
        rows: the rows to choose by, in the order in which they are asked.
        open: makes a way's desk.
    """

    lanes: dict[str, Lane]
    rows: list[int]
    open: Callable[[Way], Desk] = field(repr=False)

    def running(self, family: str | None = None) -> list[Lane]:
        """Return the lanes still in the race."""
        return [one for one in self.lanes.values() if not one.out and family in (None, one.way.family)]

    def best(self, *families: str) -> Lane | None:
        """Return the lane of these families that does best on the rows that all of them answered; None without any.

        Of equals it is the plainer one.
        """
        found = [one for one in self.lanes.values() if one.stands and one.way.family in families and not one.way.same]
        rows = min((len(one.answers.rows) for one in found if one.answers is not None), default=0)
        return max(found, key=lambda one: round(one.mean_of(rows), 9), default=None)

    def run(self, lane: Lane, rows: int, budget: Budget, reserve: float) -> bool:
        """Have a lane answer the first `rows`; False where it is out.

        Args:
            lane: who.
            rows: of the rows to choose by.
            budget: that it is taken from.
            reserve: seconds that must be left afterwards.
        """
        had = len(lane.answers.rows) if lane.answers is not None else 0
        if lane.way.same:
            rows = min(rows, FIRST)
        rows = min(rows, len(self.rows))
        if rows <= had:
            return True
        if not had and rows > _PROBE and math.isfinite(budget.seconds_left()):
            # What it takes is best told by itself.
            if not self.run(lane, _PROBE, budget, reserve):
                return False
            had = _PROBE
        expected = self._expected(lane) * (rows - had)
        if budget.seconds_left() - reserve < expected:
            lane.out = (
                f"the time does not do: {rows - had} more rows would take about {expected:,.0f} s"
                if math.isfinite(expected) and expected
                else "the time is up"
            )
            return False
        if budget.dollars_left() <= 0:
            lane.out = "the dollars are spent"
            return False
        try:
            if lane.desk is None:
                lane.desk = self.open(lane.way)
            lane.answers = lane.desk.ask(self.rows[:rows])
        except UpstreamError:
            raise
        except SpentError as error:
            lane.out = str(error)
            return False
        except PilotfishError as error:
            if lane.way.key in _ANCHORS:
                raise
            lane.out, lane.cut = f"it did not work: {error}", True
            return False
        return True

    def _expected(self, lane: Lane) -> float:
        """Seconds a row: its own, or else the slowest known of the two models that it is made of."""
        if lane.desk is not None and lane.desk.seconds is not None:
            return lane.desk.seconds
        base = self.lanes.get(lane.way.base)
        both = self.lanes.get("large") if lane.way.family == "cascade" else None
        known = [
            one.desk.seconds for one in (base, both) if one is not None and one.desk is not None and one.desk.seconds
        ]
        return 1.5 * max(known, default=0.0)


def raced(
    ways: Sequence[Way],
    rows: Sequence[int],
    desks: Callable[[Way], Desk],
    budget: Budget,
    watch: Watch,
    *,
    share: float = 0.5,
    train: Callable[[Race, Lane], str] | None = None,
) -> Race:
    """Run the race.

    Args:
        ways: who takes part, the models by themselves first.
        rows: to choose by.
        desks: what opens a way's desk; its model is built then.
        budget: of the whole advice.
        watch: where it shows.
        share: of the time that is left, which the race may take.
        train: makes what a way needs (a student); returns why it is not made, "" where it is.

    Raises:
        UpstreamError: an endpoint fails for row after row.
        PilotfishError: one of the two models by itself cannot answer.
    """
    race = Race({way.key: Lane(way) for way in ways}, list(rows), desks)
    left = budget.seconds_left()
    reserve = (1 - share) * left if math.isfinite(left) else 0.0
    rung, count = min(FIRST, len(rows)), 0
    while True:
        running = race.running()
        with watch.phase(f"{len(running)} ways on {rung} rows", len(running)) as advance:
            for lane in running:
                if count == 0 and lane.way.needs and train is not None:
                    lane.out = train(race, lane)
                if not lane.out:
                    race.run(lane, rung, budget, reserve)
                advance(1)
        if rung >= len(rows) or not any(
            one.answers is not None and len(one.answers.rows) < len(rows) for one in race.running()
        ):
            return race
        _halve(race)
        rung, count = min(2 * rung, len(rows)), count + 1


def _halve(race: Race) -> None:
    """Put the worse half of each kind out; the models by themselves stay, as all else is measured against them."""
    for families in (("small", "taught"), ("large",), ("cascade",)):
        rivals = [
            one
            for one in race.running()
            if one.way.family in families and one.way.key not in _ANCHORS and not one.way.same
        ]
        keep = math.ceil(len(rivals) / 2)
        # Python's sort is stable: of equals those named first stay, which are the plainer ones.
        for one in sorted(rivals, key=lambda lane: -round(lane.mean, 9))[keep:]:
            rows = len(one.answers.rows) if one.answers is not None else 0
            one.out, one.cut = f"after {rows} rows others did better", True
