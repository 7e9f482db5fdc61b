"""The advice for a table: boosted trees, additive and linear models, a large model that reads rows, and both.

advice = advise_table(task, large, settings, folder)
advice.verdict.answer, advice.findings
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete import gates
from pilotfish.compete.advisor.advised import Advised
from pilotfish.compete.advisor.table_found import table_findings
from pilotfish.compete.advisor.table_large import LargeTable, large_table
from pilotfish.compete.advisor.table_page import table_sections
from pilotfish.compete.advisor.table_small import TRANSPARENT, SmallTable, baseline, small_tables
from pilotfish.compete.curve import Crossover, Curve, crossover
from pilotfish.compete.graded import Graded
from pilotfish.compete.memo import Memo
from pilotfish.compete.mix import Threshold, choose_threshold
from pilotfish.compete.tables.curve import row_curve
from pilotfish.compete.tables.kinds import KINDS, kind_of
from pilotfish.compete.verdict import best_by_kept_rows, decide
from pilotfish.compete.watch import Budget, Watch
from pilotfish.measure.meters import Meter, machine
from pilotfish.measure.report import Gate

if TYPE_CHECKING:
    from pilotfish.compete.candidate import Candidate
    from pilotfish.compete.settings import Settings
    from pilotfish.compete.tables.task import TableTask
    from pilotfish.model import Model

__all__ = ["SECONDS", "advise_table"]

SECONDS = 120.0  # of looking for settings, where there is no limit
_TUNING, _CURVE = 0.45, 0.25  # of the time that is left
_LOADING = 0.25  # of the whole time, without which the large model is not even loaded


def advise_table(
    task: TableTask,
    large: Model | None,
    settings: Settings,
    folder: Path,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    question: str | None = None,
    names: Mapping[str, str] | None = None,
    max_p95: float | None = None,
    tuning: float = SECONDS,
    watch: Watch | None = None,
) -> Advised:
    """Measure every kind of model on a table, a large one that reads the rows, and both; decide.

    Args:
        task: rows, split.
        large: any model; None compares small ones only. It is asked about classes, not about numbers.
        settings: budgets and margins.
        folder: of the output; what was found and said is kept under `work` in it.
        kinds: of small models.
        question: the task in words, for the large model.
        names: class -> what it is called in the prompt.
        max_p95: seconds that a single row may take the choice, at the 95th percentile.
        tuning: seconds of looking for settings, where the whole has no limit.
        watch: where progress shows.

    Raises:
        ConfigError: no such kind.
        UpstreamError: the large model's endpoint fails.
    """
    watch, budget = watch or Watch(), Budget(settings.max_seconds, settings.max_cost)
    for kind in kinds:
        kind_of(kind)
    work = folder / "work" / f"table-{_digest(task, settings.seed)}"
    with Meter() as meter:
        left = budget.seconds_left()
        seconds = tuning if not np.isfinite(left) else _TUNING * left * (1.0 if large is None else 0.7)
        smalls, late = small_tables(task, kinds, seconds, work, watch, settings.seed, limited=np.isfinite(left))
        best = _best(smalls, max_p95)
        asked = None
        if large is not None and task.kind == "classes" and budget.seconds_left() >= _LOADING * left:
            asked = large_table(
                task,
                large,
                budget,
                watch,
                Memo(folder / "work" / "large.jsonl"),
                shots=settings.shots,
                test_rows=settings.test_rows,
                calibrate_rows=settings.calibrate_rows,
                question=question,
                names=names,
                seed=settings.seed,
            )
        curve, crossing = _learning(task, best, asked, settings, budget, watch)
        deferring = None if asked is None else _cascade(task, best, asked, settings.seed)
    candidates: list[Candidate] = [baseline(task), *(one.candidate for one in smalls)]
    contenders: list[Candidate] = [best.candidate]
    if asked is not None:
        candidates += [asked.zero, *([asked.few] if asked.few else [])]
        contenders.append(asked.best)
    if deferring is not None:
        candidates.append(deferring[0])
        contenders.append(deferring[0])
    verdict = decide(contenders, margin=settings.margin, alpha=settings.alpha, crossing=None)
    reading = meter.reading
    return Advised(
        f"Small, large, or both? {task.target}, {len(task.train) + len(task.test):,} rows of a table",
        "accuracy" if task.kind == "classes" else "R²",
        settings,
        candidates,
        contenders,
        verdict,
        table_findings(task, smalls, best, asked, deferring, large),
        _gates(verdict.chosen, settings, reading.peak_memory, max_p95, large),
        reading,
        budget.spent,
        machine(),
        {
            "foretold": task.target,
            "columns": len(task.table.columns),
            "train": len(task.train),
            "test": len(task.test),
            **({"classes": len(task.classes)} if task.classes else {}),
        },
        _notes(task, late),
        _tables(asked, deferring),
        {"small": "small", "large": "large", "cascade": "cascade"}[verdict.chosen.family],
        _said(task, candidates),
        table_sections(task, smalls, best, asked, curve, crossing),
        {
            "learning_curve": None if curve is None else curve.to_json(),
            "crossing_rows": None if crossing is None else crossing.to_json(),
            "shuffled_names": None if asked is None else asked.shuffled,
        },
        lambda out: _save(out, best, smalls, asked),
    )


def _best(smalls: Sequence[SmallTable], max_p95: float | None) -> SmallTable:
    """Return the kind with the least loss in folds; where a single row's time is limited, of those that keep it."""
    able = [one for one in smalls if max_p95 is None or (one.candidate.p95 or 0.0) <= max_p95]
    chosen = best_by_kept_rows([one.candidate for one in able or smalls])
    return next(one for one in smalls if one.candidate is chosen)


def _learning(
    task: TableTask, best: SmallTable, asked: LargeTable | None, settings: Settings, budget: Budget, watch: Watch
) -> tuple[Curve | None, Crossover | None]:
    if task.kind != "classes":
        return None, None
    with watch.phase(f"learning curve of {best.kind.name}"):
        curve = row_curve(
            task,
            best.kind,
            best.settings,
            seeds=settings.seeds,
            seed=settings.seed,
            budget=budget,
            share=_CURVE,
            title=best.candidate.title,
        )
    if asked is None or not curve.counts:
        return curve, None
    return curve, crossover(curve, asked.best.correct, asked.best.rows)


def _cascade(task: TableTask, best: SmallTable, asked: LargeTable, seed: int) -> tuple[Graded, Threshold] | None:
    """Return the cascade: where the small model is unsure, the large one is asked; None without rows to choose by."""
    rows = asked.calibrate
    if not len(rows):
        return None
    unseen = best.unseen(task, seed)[rows]
    mine = (unseen.argmax(axis=1) == task.y[rows]).astype(np.float64)
    threshold = choose_threshold(unseen.max(axis=1), mine, asked.right)
    large, small = asked.best, best.candidate
    assert small.probabilities is not None
    defer = small.probabilities.max(axis=1)[large.rows] < threshold.above
    share = float(defer.mean()) if len(defer) else 0.0

    def both(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one + share * other

    one = Graded(
        "cascade",
        f"cascade, {share:.0%} to large",
        "cascade",
        large.rows,
        [y if d else small.answers[int(row)] for row, y, d in zip(large.rows, large.answers, defer, strict=True)],
        list(large.truth),
        chosen_by=threshold.accuracy,
        seconds=both(small.seconds, large.seconds),
        p50=small.p50 if share < 0.5 else both(small.p50, large.p50),
        p95=small.p95 if share < 0.05 else both(small.p95, large.p95),
        dollars=both(small.dollars, large.dollars),
        weights=small.weights + large.weights,
        details={"deferred": share, "threshold_rows": threshold.rows, "deferred_when_chosen": threshold.deferred},
        scores=np.where(defer, large.correct, small.correct[large.rows]),
        measure="accuracy",
    )
    return one, threshold


def _gates(chosen: Candidate, settings: Settings, peak: int, max_p95: float | None, large: Model | None) -> list[Gate]:
    found = [gates.memory_gate(chosen.weights, peak, settings.max_memory)]
    if large is not None:
        licence = str(getattr(large, "licence", gates.SERVED))
        found.insert(0, gates.licence_gate({large.name: licence}, settings.licences))
    if max_p95 is not None:
        kept = chosen.p95 is not None and chosen.p95 <= max_p95
        shown = "is not known" if chosen.p95 is None else f"is {chosen.p95 * 1000:.3g} ms"
        found.append(
            Gate(
                "Latency",
                "pass" if kept else "fail",
                f"p95 of a single row {shown}; the limit is {max_p95 * 1000:.3g} ms",
            )
        )
    return found


def _notes(task: TableTask, late: Sequence[str]) -> list[str]:
    notes = [f"{len(task.test):,} of the rows are held out for the test" + (", stratified" if task.classes else "")]
    if late:
        notes.append(f"there was no time to tune {', '.join(late)}")
    if task.left_out:
        notes.append(f"{task.left_out:,} rows have no value in {task.target!r} and are left out")
    return notes


def _said(task: TableTask, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    told: dict[int, dict[str, Any]] = {}
    for one in candidates:
        for row, answer in zip(one.rows, one.answers, strict=True):
            told.setdefault(int(row), {})[one.key] = answer
    return [
        {"row": {name: task.test[row].get(name) for name in (*task.table.columns, task.target)}, "answers": answers}
        for row, answers in sorted(told.items())
    ]


def _tables(asked: LargeTable | None, deferring: tuple[Graded, Threshold] | None) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"models.small": {"use": "classifier", "path": "model"}}
    if asked is not None:
        labeller = asked.labellers[asked.best.key]
        table: dict[str, Any] = {
            "use": "labeller",
            "model": "large-model",
            "labels": list(labeller.labels),
            "instruction": labeller.instruction,
        }
        if labeller.names:
            table["names"] = dict(labeller.names)
        if labeller.examples:
            table["examples"] = "examples.jsonl"
        found["models.large"] = table
    if deferring is not None:
        above = min(deferring[1].above, 1.01)
        accept = {"score": "confidence", "above": above}
        found["models.cascade"] = {"use": "cascade", "small": "small", "large": "large", "accept": accept}
    return found


def _save(out: Path, best: SmallTable, smalls: Sequence[SmallTable], asked: LargeTable | None) -> None:
    """Write the chosen model, the most transparent ones beside it, and the rows that the large one is shown."""
    best.model.save(out / "model")
    for one in smalls:
        if one.kind.name in TRANSPARENT and one is not best:
            one.model.save(out / f"model-{one.kind.name}")
    (out / "examples.jsonl").unlink(missing_ok=True)
    if asked is not None and asked.labellers[asked.best.key].examples:
        from pilotfish.rows.write import write

        examples = asked.labellers[asked.best.key].examples
        write([{"text": text, "label": label} for text, label in examples], out / "examples.jsonl")


def _digest(task: TableTask, seed: int) -> str:
    told = hashlib.sha256(json.dumps([task.target, task.kind, list(task.table.columns), seed]).encode())
    for part in (task.x, task.y, task.x_test):
        told.update(np.ascontiguousarray(part).tobytes())
    return told.hexdigest()[:16]
