"""The small model taught for the task: by people's answers, and by the large model's."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.compete.advisor.ways import TAGGER, TAUGHT, TUNED
from pilotfish.errors import DataError
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.compete.advisor.desk import Desk
    from pilotfish.compete.advisor.task import AnswerTask
    from pilotfish.compete.watch import Budget, Watch

__all__ = ["FIT", "Lessons", "tagged"]

FIT = Fit(epochs=3, batch_tokens=1024, rate=4e-4, rank=16, dtype="auto")
_PASSES = 3.5  # forward and backward, in forward passes of the same tokens, and the looks at what is held out
_SHARE = 0.3  # of the time left, at most, for one student
_LEAST = 16  # rows that are worth learning from


@dataclass
class Lessons:
    """Makes students.

    Attributes:
        task: whose training rows teach.
        weights: the small model's.
        folder: of the students.
        budget: of time and dollars.
        watch: where it shows.
        pace: seconds of a forward pass a token, measured when first needed.
        asked: training rows that the large model answered.
        seconds: that each student took, by name; its teacher's answers included.
        dollars: the same.
    """

    task: AnswerTask
    weights: str
    folder: Path
    budget: Budget
    watch: Watch
    pace: float | None = None
    asked: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    dollars: dict[str, float] = field(default_factory=dict)

    def by_people(self) -> str:
        """Teach by the right answers; return why not, "" where it is done."""
        if TUNED in self.seconds:
            return ""
        answers = [(row, self.task.right(row)) for row in self.task.train.tolist()]
        return self._taught(TUNED, [self._lesson(row, answer) for row, answer in answers if answer])

    def by_model(self, teacher: Desk) -> str:
        """Teach by the large model's answers to the training rows; return why not, "" where it is done.

        Without a grade nobody knows which of its answers are right; all are learnt.
        """
        rows = [int(row) for row in self.task.train]
        each = teacher.seconds or 0.0
        most = int(_SHARE * self.budget.seconds_left() / each) if each and self.budget.max_seconds else len(rows)
        cost = self._each_dollars(teacher, rows)
        if self.budget.max_cost is not None and cost:
            most = min(most, int(_SHARE * self.budget.dollars_left() / cost))
        rows = rows[:most]
        if len(rows) < _LEAST:
            return f"the budget pays for {len(rows)} answers of the teacher, too few to learn from"
        start = time.perf_counter()
        with self.watch.phase("the teacher's answers", len(rows)) as advance:
            said = teacher.ask(rows)
            advance(len(rows))
        self.asked = len(rows)
        self.dollars[TAUGHT] = float(said.dollars.sum())
        lessons = [self._lesson(row, answer) for row, answer in zip(rows, said.said, strict=True) if answer]
        why = self._taught(TAUGHT, lessons)
        self.seconds[TAUGHT] = time.perf_counter() - start
        return why

    def _make_way(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Remove a student that an earlier run taught on other rows."""
        from pilotfish.train.folder import digest

        mark = self.folder / "work" / f"{name}.lessons"
        told = digest([self.weights], [json.dumps(row, sort_keys=True) for row in rows])
        if not mark.exists() or mark.read_text(encoding="utf-8") != told:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.write_text(told, encoding="utf-8")

    def _lesson(self, row: int, answer: str) -> dict[str, Any]:
        return {"messages": self.task.requests[row].to_json()["messages"], "answer": answer}

    def _each_dollars(self, teacher: Desk, rows: Sequence[int]) -> float:
        if not rows or self.budget.max_cost is None:
            return 0.0
        return float(teacher.ask(rows[:1]).dollars[0])

    def _taught(self, name: str, rows: list[dict[str, Any]]) -> str:
        from pilotfish.distill.distiller import REPORT, Distiller
        from pilotfish.distill.rows import examples_of
        from pilotfish.models.local import LocalModel

        if len(rows) < _LEAST:
            return f"{len(rows)} rows are too few to learn from"
        local = LocalModel(self.weights)
        if self.pace is None:
            self.pace = _pace(local, [self.task.requests[row].prompt for row in self.task.train[:16].tolist()])
        examples, _ = examples_of(local.tokenizer, rows, 512, name=local.name)
        expected = FIT.epochs * _PASSES * sum(len(one.ids) for one in examples) * self.pace
        left = self.budget.seconds_left()
        self._make_way(name, rows)
        if expected > _SHARE * left and not (self.folder / name / REPORT).exists():
            return f"teaching it would take about {expected:,.0f} s of the {left:,.0f} s left"
        start = time.perf_counter()
        with self.watch.phase(f"teaching the small model on {len(rows)} answers"):
            student = Distiller(self.weights, None, self.folder / name, alpha=0.0, fit=FIT, progress=False)
            student.fit(rows)
        self.seconds[name] = time.perf_counter() - start
        return ""


def tagged(task: AnswerTask, encoder: str, folder: Path, budget: Budget, watch: Watch) -> str:
    """Teach a tagger of the task's fields; return why not, "" where it is done. A finished one is not taught again."""
    from pilotfish.compete.extraction import FieldTagger, teach
    from pilotfish.compete.extraction.tagger import FILE
    from pilotfish.models.encoder import Encoder
    from pilotfish.train.folder import digest

    if not task.prompt.endswith("}"):
        return "the prompt goes on after the text, so what it reads would not be the text alone"
    before, _, column = task.prompt.rpartition("{")
    column, before = column.removesuffix("}"), before.replace("{{", "{").replace("}}", "}")
    rows = [
        (str(task.rows[row][column]), {name: task.rows[row].get(name) for name in task.fields}) for row in task.train
    ]
    identity = digest([encoder, before, list(task.fields)], [f"{text}\0{values}" for text, values in rows])
    out = folder / TAGGER
    if (out / FILE).exists() and FieldTagger.load(out).report.get("identity") == identity:
        return ""
    base = Encoder(encoder, dtype="float32").load()
    sizes = [min(size, base.max_length) for size in base.lengths([text for text, _ in rows])]
    start = time.perf_counter()
    base.encode([text for text, _ in rows[:16]])
    pace = (time.perf_counter() - start) / max(1, sum(sizes[:16]))
    expected = 6 * _PASSES * sum(sizes) * pace
    left = budget.seconds_left()
    if expected > _SHARE * left:
        return f"teaching it would take about {expected:,.0f} s of the {left:,.0f} s left"
    with watch.phase(f"teaching a tagger on {len(rows)} texts"):
        try:
            made = teach(base, rows, task.fields, before=before, folder=folder / "work" / "tagger")
        except DataError as error:
            return str(error)
    made.report["identity"] = identity
    made.save(out)
    return ""


def _pace(local: Any, texts: Sequence[str]) -> float:
    """Return seconds a token of a forward pass."""
    local.score([("", text) for text in texts[:2]])  # loads, and warms up
    start = time.perf_counter()
    local.score([("", text) for text in texts])
    tokens = sum(local.count(text) for text in texts)
    return float((time.perf_counter() - start) / max(1, tokens))
