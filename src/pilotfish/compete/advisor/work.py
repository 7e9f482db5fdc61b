"""What the ways of an advice need while they are tried: desks, an index, students."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pilotfish.compete.advisor.desk import Desk
from pilotfish.compete.advisor.train import Lessons, tagged
from pilotfish.train.folder import digest

if TYPE_CHECKING:
    from pilotfish.compete.advisor.marks import Marks
    from pilotfish.compete.advisor.parts import Parts
    from pilotfish.compete.advisor.race import Lane, Race
    from pilotfish.compete.advisor.task import AnswerTask
    from pilotfish.compete.advisor.ways import Facts, Way
    from pilotfish.compete.settings import Settings
    from pilotfish.compete.watch import Budget, Watch

__all__ = ["Work"]


class Work:
    """Opens desks, and makes what ways need. Its settings are those of `advise_answers`."""

    def __init__(
        self,
        task: AnswerTask,
        parts: Parts,
        marks: Marks,
        facts: Facts,
        settings: Settings,
        budget: Budget,
        watch: Watch,
    ) -> None:
        self.task, self.parts, self.marks, self.facts = task, parts, marks, facts
        self.settings, self.budget, self.watch = settings, budget, watch
        self.desks: dict[str, Desk] = {}
        self.indexed = False
        self.learnt = digest([task.prompt], [json.dumps(row, sort_keys=True) for row in task.examples()])
        weights = parts.weights(facts.small)
        self.lessons = None if weights is None else Lessons(task, weights, parts.folder, budget, watch)

    def desk(self, way: Way) -> Desk:
        """Return a way's desk, opened once."""
        if way.key not in self.desks:
            name = way.key if way.tables is not None else getattr(self.facts, way.key)
            self.desks[way.key] = Desk(
                self.parts.model(name),
                [self.parts.identity(name), self._made(way)],
                self.parts.folder / "work" / "answers",
                self.marks,
                self.task.requests,
                self.budget,
                sure=way.family in ("small", "taught"),
            )
        return self.desks[way.key]

    def ready(self, race: Race, lane: Lane) -> str:
        """Make what a way needs; return why not, "" where it is there."""
        if lane.way.needs == "index":
            if not self.indexed:
                with self.watch.phase("making the documents searchable"):
                    self.parts.make_index()
                self.indexed = True
            return ""
        if lane.way.needs == "tagger":
            return tagged(self.task, self.facts.encoder, self.parts.folder, self.budget, self.watch)
        assert self.lessons is not None
        if lane.way.needs == "tuned":
            return self.lessons.by_people()
        teacher = race.lanes.get("large")
        if teacher is None or teacher.out or teacher.desk is None:
            return "there is no large model to learn from"
        return self.lessons.by_model(teacher.desk)

    def _made(self, way: Way) -> Any:
        """What was made from the rows decides answers too: other training rows, other examples."""
        return self.learnt if way.tables is not None else None
