"""The best way of each kind on held-out rows, and both models together out of what each answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.advisor.both import Chooser, cascaded, routed
from pilotfish.compete.advisor.paying import SpentError
from pilotfish.compete.candidate import Candidate
from pilotfish.compete.graded import Graded
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from pilotfish.compete.advisor.desk import Answers
    from pilotfish.compete.advisor.race import Lane, Race
    from pilotfish.compete.advisor.ways import Way
    from pilotfish.compete.advisor.work import Work

__all__ = ["MIN_TEST", "Measured"]

MIN_TEST = 20  # held-out rows, whatever the time pays for: fewer say nothing


class Measured:
    """The best of each kind on held-out rows."""

    def __init__(self, work: Work, race: Race, measure: str) -> None:
        self.work, self.race, self.measure = work, race, measure
        self.candidates: list[Candidate] = []
        self.tables: dict[str, Mapping[str, Any]] = {}
        self.tried: dict[str, str] = {}
        self.twin: Candidate | None = None
        small, large, taught = race.best("small"), race.best("large"), race.best("taught")
        both = race.best("cascade")
        lanes = [race.lanes["small"], small, race.lanes.get("large"), large, taught, race.lanes.get("tuned"), both]
        there = {one.way.key: one for one in lanes if one is not None and one.stands}
        self.rows = self._afforded(there)
        self.answers: dict[str, Answers] = {}
        with work.watch.phase("the best ways on held-out rows", len(there) * len(self.rows)) as advance:
            for key, lane in there.items():
                assert lane.desk is not None
                try:
                    self.answers[key] = lane.desk.ask(self.rows)
                except SpentError:
                    lane.out = "the dollars did not do for the held-out rows"
                    work.watch.say(f"{lane.way.title}: {lane.out}")
                    continue
                advance(len(self.rows))
                self.candidates.append(self._candidate(lane, self.answers[key]))
        by_key = {one.key: one for one in self.candidates}
        self.contenders = [by_key[one.way.key] for one in (small, taught, large) if one and one.way.key in by_key]
        deferring: list[Candidate] = [*self._both(small, large)]
        if both is not None and both.way.key in by_key:
            deferring.append(by_key[both.way.key])
        if deferring:
            # Chosen by the rows to choose by; the held-out rows only measure.
            self.contenders.append(max(deferring, key=lambda one: round(one.chosen_by, 9)))
        if taught is not None and "tuned" in by_key:
            self.twin = by_key["tuned"]

    def name(self, one: Candidate) -> str:
        """Return a candidate's name in the collaboration file."""
        lane = self.race.lanes.get(one.key)
        return one.key if lane is None else self._name(lane.way)

    def said(self) -> list[dict[str, Any]]:
        """Return the held-out rows with what every candidate said, and what it was worth."""
        task, found = self.work.task, []
        for at, row in enumerate(self.rows):
            told = {one.key: {"answer": one.answers[at], "score": float(one.correct[at])} for one in self.candidates}
            found.append({"prompt": task.requests[row].prompt, "right": task.right(row), "answers": told})
        return found

    def _afforded(self, lanes: dict[str, Lane]) -> list[int]:
        """Return the held-out rows that the budget pays for: a seeded choice, the same for all.

        Where that is too few for all lanes the dearest go first; the small model by itself stays.
        """
        test, budget = self.work.task.test.tolist(), self.work.budget
        wanted = min(len(test), self.work.settings.test_rows)
        while True:
            seconds = sum((one.desk.seconds or 0.0) for one in lanes.values() if one.desk is not None)
            dollars = sum(_dollars(one) for one in lanes.values())
            paid = min(
                0.85 * budget.seconds_left() / seconds if seconds else np.inf,
                0.8 * budget.dollars_left() / dollars if dollars else np.inf,
            )
            dear = [key for key in lanes if key != "small"]
            if paid >= min(wanted, MIN_TEST) or not dear:
                break
            gone = max(dear, key=lambda key: (_dollars(lanes[key]), _seconds(lanes[key])))
            lanes[gone].out = "the budget does not pay for held-out rows"
            self.work.watch.say(f"{lanes[gone].way.title}: {lanes[gone].out}")
            del lanes[gone]
        count = int(max(min(paid, wanted), min(wanted, MIN_TEST)))
        if count < wanted:
            self.work.watch.say(f"the budget pays for {count:,} of {wanted:,} held-out rows")
        return [int(row) for row in test[:count]]

    def _candidate(self, lane: Lane, found: Answers) -> Graded:
        assert lane.desk is not None and lane.answers is not None
        way, desk = lane.way, lane.desk
        joules, kind = desk.joules
        known = bool(np.isfinite(found.dollars).all())
        details: dict[str, Any] = {"leaf": way.leaf, "failed": sum(one is None for one in found.said)}
        lessons, once = self.work.lessons, 0.0
        if way.family == "taught" and lessons is not None:
            details |= {
                "teacher_calls": lessons.asked,
                "teacher_seconds": lessons.seconds.get("taught", 0.0),
                "student": way.title,
            }
            once = lessons.dollars.get("taught", 0.0)
        return Graded(
            way.key,
            way.title,
            way.family,
            found.rows,
            found.said,
            [self.work.task.right(int(row)) or "" for row in found.rows],
            chosen_by=lane.mean,
            seconds=desk.seconds,
            p50=desk.p50,
            p95=desk.p95,
            dollars=float(found.dollars.mean()) if known and len(found.dollars) else None,
            once=once,
            joules=joules,
            joules_kind=kind,
            weights=_weights(desk.model),
            details=details,
            scores=found.marks,
            measure=self.measure,
        )

    def _both(self, small: Lane | None, large: Lane | None) -> list[Graded]:
        """Return the cascade and the route of the best small and the best large way, where they can be made."""
        found: list[Graded] = []
        if small is None or large is None or small.answers is None or large.answers is None:
            return found
        names = (self._name(small.way), self._name(large.way))
        by_key = {one.key: one for one in self.candidates}
        mine, theirs = by_key.get(small.way.key), by_key.get(large.way.key)
        if mine is None or theirs is None:
            return found
        deferring = cascaded(small.answers, large.answers, names)
        if deferring is None:
            self.tried["cascade"] = "the small model gives no log-probabilities to go by"
        else:
            found.append(self._mixed("cascade", deferring, mine, theirs, small, large))
            self.tables["cascade"] = {"use": "cascade", **deferring.table}
        texts = [self.work.task.requests[row].prompt for row in self.race.rows]
        costs = (mine.dollars or 0.0, theirs.dollars or 0.0)
        if not costs[1] > costs[0]:
            costs = (mine.seconds or 0.0, theirs.seconds or 0.0)
        route = routed(texts, small.answers, large.answers, names, costs)
        if route is None:
            self.tried["route"] = "the rows to choose by are too few to teach a router, or the small model costs more"
        else:
            chooser, router = route
            router.save(self.work.parts.folder / "router")
            found.append(self._mixed("route", chooser, mine, theirs, small, large))
            self.tables["route"] = {"use": "route", **chooser.table}
        self.candidates += found
        return found

    def _name(self, way: Way) -> str:
        return way.key if way.tables is not None else str(getattr(self.work.facts, way.key))

    def _mixed(self, key: str, by: Chooser, mine: Candidate, theirs: Candidate, small: Lane, large: Lane) -> Graded:
        a, b = self.answers[small.way.key], self.answers[large.way.key]
        texts = [self.work.task.requests[int(row)].prompt for row in a.rows]
        defer = by.large(texts, a.signals)
        share = float(defer.mean()) if len(defer) else 0.0
        first = 1.0 if by.after else 1.0 - share

        def both(one: float | None, other: float | None) -> float | None:
            return None if one is None or other is None else first * one + share * other

        slow = (mine.p95 or 0.0) * by.after + (theirs.p95 or 0.0) if share >= 0.05 else mine.p95
        usual = (mine.p50 or 0.0) * by.after + (theirs.p50 or 0.0) if share >= 0.5 else mine.p50
        return Graded(
            key,
            f"{key}, {share:.0%} to large",
            "cascade",
            a.rows,
            [y if large_one else x for x, y, large_one in zip(a.said, b.said, defer, strict=True)],
            list(mine.truth),
            chosen_by=by.mean,
            seconds=both(mine.seconds, theirs.seconds),
            p50=usual,
            p95=slow,
            dollars=both(mine.dollars, theirs.dollars),
            joules=both(mine.joules, theirs.joules),
            joules_kind=theirs.joules_kind,
            weights=mine.weights + theirs.weights,
            details={
                "leaf": key,
                "by": by.how,
                "of": [mine.key, theirs.key],
                "deferred": share,
                "deferred_when_chosen": by.share,
            },
            scores=np.where(defer, b.marks, a.marks),
            measure=self.measure,
        )


def _dollars(lane: Lane) -> float:
    return 0.0 if lane.answers is None else float(np.nan_to_num(lane.answers.dollars).mean())


def _seconds(lane: Lane) -> float:
    return 0.0 if lane.desk is None or lane.desk.seconds is None else lane.desk.seconds


def _weights(model: Any) -> int:
    """Return the bytes of all local weights inside a model, each counted once."""
    seen: dict[int, int] = {}

    def look(one: Any, depth: int) -> None:
        if id(one) in seen or depth > 6:
            return
        seen[id(one)] = 0
        if isinstance(one, LocalModel):
            seen[id(one)] = sum(int(p.numel() * p.element_size()) for p in one.model.parameters())
            return
        for value in vars(one).values() if hasattr(one, "__dict__") else ():
            for inner in value.values() if isinstance(value, Mapping) else [value]:
                if hasattr(inner, "reply") or isinstance(inner, LocalModel):
                    look(inner, depth + 1)

    look(model, 0)
    return sum(seen.values())
