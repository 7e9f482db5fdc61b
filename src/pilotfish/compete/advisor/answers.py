"""The advice for tasks whose answers are text: every role of small models that fits is tried, within a budget.

    advice = advise_answers(task, parts, marks, facts, names)
    advice.verdict.answer, advice.findings

Ways are chosen on rows kept back for it, by successive halving; those that stand for an answer are then measured on
rows that chose nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pilotfish.compete import gates
from pilotfish.compete.advisor.advised import Advised
from pilotfish.compete.advisor.found import findings_of
from pilotfish.compete.advisor.judged import JudgeMarks
from pilotfish.compete.advisor.measured import Measured
from pilotfish.compete.advisor.race import Race, raced
from pilotfish.compete.advisor.ways import Facts, ways_of
from pilotfish.compete.advisor.work import Work
from pilotfish.compete.verdict import decide
from pilotfish.compete.watch import Budget, Watch
from pilotfish.errors import ConfigError
from pilotfish.measure.meters import Meter, machine
from pilotfish.measure.report import Column, Gate, Section, Table

if TYPE_CHECKING:
    from pilotfish.compete.advisor.marks import Marks
    from pilotfish.compete.advisor.parts import Parts
    from pilotfish.compete.advisor.race import Lane
    from pilotfish.compete.advisor.task import AnswerTask
    from pilotfish.compete.settings import Settings
    from pilotfish.compete.verdict import Verdict

__all__ = ["advise_answers"]

_RACE = 0.45  # of the time, for choosing among ways; training included


def advise_answers(
    task: AnswerTask,
    parts: Parts,
    marks: Marks,
    facts: Facts,
    names: Mapping[str, str],
    settings: Settings,
    *,
    measure: str,
    watch: Watch | None = None,
) -> Advised:
    """Try every way that fits, measure the best of each kind, and decide.

    Args:
        task: rows, split.
        parts: builds models; its folder holds all work.
        marks: what answers are worth.
        facts: of models and rows.
        names: the two models' names as a reader knows them, by their names in the file.
        settings: budgets and margins.
        measure: what a mark is, for readers.
        watch: where progress shows.

    Raises:
        ConfigError: the time does not do for the small model alone.
        PilotfishError: one of the two models cannot answer.
    """
    watch = watch or Watch()
    budget = Budget(settings.max_seconds, settings.max_cost)
    if isinstance(marks, JudgeMarks):
        marks.charge(budget)
    with Meter() as meter:
        work = Work(task, parts, marks, facts, settings, budget, watch)
        ways = ways_of(task, facts, names)
        parts.add({name: table for way in ways for name, table in (way.tables or {}).items()})
        race = raced(ways, task.calibrate.tolist(), work.desk, budget, watch, share=_RACE, train=work.ready)
        if race.lanes["small"].answers is None:
            raise ConfigError(f"--max-seconds: {race.lanes['small'].out or 'the small model answered nothing'}")
        found = Measured(work, race, measure)
        verdict = decide(found.contenders, margin=settings.margin, alpha=settings.alpha, twin=found.twin)
    findings = findings_of(task, facts, race, found.candidates, found.tried)
    tables = {name: table for lane in race.lanes.values() for name, table in (lane.way.tables or {}).items()}
    chosen = verdict.chosen
    return Advised(
        f"Small, large, or both? {task.kind.capitalize()}, {len(task.rows):,} rows",
        measure,
        settings,
        found.candidates,
        found.contenders,
        verdict,
        findings,
        _gates(parts, facts, names, settings, verdict, meter.reading.peak_memory),
        meter.reading,
        budget.spent,
        machine(),
        {
            "kind": task.kind,
            "train": len(task.train),
            "calibrate": len(task.calibrate),
            "test": len(task.test),
            "measured": len(found.rows),
        },
        task.notes,
        {f"models.{name}": table for name, table in {**tables, **found.tables}.items()},
        found.name(chosen),
        found.said(),
        [Section("How the ways were chosen", [_ladder(race)])],
        {"race": [_lane(lane) for lane in race.lanes.values()]},
    )


def _ladder(race: Race) -> Table:
    rows: list[list[Any]] = [
        [
            lane.way.title,
            0 if lane.answers is None else len(lane.answers.rows),
            None if lane.answers is None else lane.mean,
            lane.out or "to the end",
        ]
        for lane in race.lanes.values()
    ]
    return Table(
        [Column("Way"), Column("Rows", "right", ","), Column("Score", "right", ".3f"), Column("How far it came")],
        rows,
        "Every way on the rows to choose by: each round the better half of each kind goes on, on twice as many.",
    )


def _lane(lane: Lane) -> dict[str, Any]:
    return {
        "way": lane.way.key,
        "title": lane.way.title,
        "rows": 0 if lane.answers is None else len(lane.answers.rows),
        "score": None if lane.answers is None else lane.mean,
        "out": lane.out or None,
    }


def _gates(
    parts: Parts, facts: Facts, names: Mapping[str, str], settings: Settings, verdict: Verdict, peak: int
) -> list[Gate]:
    licences = {}
    for name in (facts.small, facts.large):
        if name is not None:
            licence = getattr(parts.model(name), "licence", "unknown") if name in facts.local else gates.SERVED
            licences[names[name]] = str(licence)
    return [
        gates.licence_gate(licences, settings.licences),
        gates.memory_gate(verdict.chosen.weights, peak, settings.max_memory),
        gates.silent_gate(int(verdict.chosen.details.get("failed", 0)), len(verdict.chosen.rows)),
    ]
