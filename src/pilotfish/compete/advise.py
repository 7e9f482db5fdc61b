"""The main job: small, large, cascade, or large at training time only? Built, measured and decided on the user's rows.

    task = text_task(rows, text="text", label="intent")
    advice = advise(task, Encoder("all-minilm-l6-v2"), LocalModel("smollm2-135m-instruct"))
    advice.verdict.answer, advice.verdict.reason

Everything is chosen on training rows (penalties, temperature, the way of asking, the threshold) and measured on the
same held-out rows, so that differences are paired.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete import gates
from pilotfish.compete.advisor.text_found import text_findings
from pilotfish.compete.candidate import Candidate
from pilotfish.compete.curve import Crossover, Curve, crossover, learning_curves, mean_labels
from pilotfish.compete.distilled import Distilled
from pilotfish.compete.further import further
from pilotfish.compete.large import Judged, judge
from pilotfish.compete.learner import AnyStudent
from pilotfish.compete.lesson import pool
from pilotfish.compete.memo import Memo, identity
from pilotfish.compete.mix import Threshold, cascade
from pilotfish.compete.plan import Sizes
from pilotfish.compete.settings import Settings
from pilotfish.compete.students import Student, fitted, majority, students, tune
from pilotfish.compete.together import together
from pilotfish.compete.verdict import Verdict, best_by_kept_rows, decide
from pilotfish.compete.watch import Budget, Watch
from pilotfish.measure.meters import Meter, Reading, machine
from pilotfish.models.classify import TextClassifier
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.models.remote import RemoteModel

if TYPE_CHECKING:
    from pilotfish.compete.advisor.leaves import Finding
    from pilotfish.compete.task import TextTask
    from pilotfish.measure.report import Gate
    from pilotfish.model import Model


@dataclass
class Advice:
    """Everything that was measured, and the verdict.

    Attributes:
        candidates: all of them, baselines first.
        contenders: the one of each family that the verdict is about.
        crossings: where each student's learning curve overtakes the large model.
        had_large: a large model was given, whether or not the budget paid for it.
        small: the best small model that people's labels alone taught.
        classifier: the one behind it, fitted on every training row.
        distilled: the student that learnt from the large model too; None where there is no large model, or its labels
            were too few or all alike.
    """

    task: TextTask
    settings: Settings
    candidates: list[Candidate]
    contenders: list[Candidate]
    curves: list[Curve]
    crossings: dict[str, Crossover]
    verdict: Verdict
    gates: list[Gate]
    small: Candidate
    classifier: TextClassifier | AnyStudent
    judged: Judged | None
    threshold: Threshold | None
    distilled: Distilled | None
    licences: dict[str, str]
    reading: Reading
    spent: float
    machine: dict[str, Any] = field(default_factory=dict)
    had_large: bool = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found of every leaf of the survey."""
        return text_findings(self)

    @property
    def passed(self) -> bool:
        """Whether no hard gate failed."""
        return all(gate.status != "fail" for gate in self.gates)

    def to_json(self) -> dict[str, Any]:
        """Return the advice as plain data."""
        task = self.task
        return {
            "verdict": self.verdict.to_json(),
            "gates": [{"name": gate.name, "status": gate.status, "text": gate.text} for gate in self.gates],
            "candidates": [one.to_json() for one in self.candidates],
            "survey": [one.to_json() for one in self.findings],
            "distilled": None if self.distilled is None else self.distilled.to_json(),
            "learning_curves": [curve.to_json() for curve in self.curves],
            "crossings": {key: crossing.to_json() for key, crossing in self.crossings.items()},
            "rows": {
                "train": len(task.train),
                "tune": len(task.tune),
                "calibrate": len(task.calibrate),
                "test": len(task.test),
                "unlabelled": len(task.unlabelled),
                "labels": len(task.labels),
                "leaky_test_rows": len(task.leaky),
                "notes": list(task.notes),
            },
            "settings": dataclasses.asdict(self.settings),
            "licences": self.licences,
            "took": {**self.reading.to_json(), "usd": self.spent},
            "machine": self.machine,
        }


def advise(
    task: TextTask,
    small: Encoder | LocalModel,
    large: Model | None,
    settings: Settings | None = None,
    *,
    watch: Watch | None = None,
    memo: Path | None = None,
) -> Advice:
    """Measure every candidate on the task and decide.

    Args:
        task: rows, split.
        small: an encoder, or a local language model whose hidden states serve as one.
        large: any model; None to compare small ones only.
        settings: budgets, margins, sizes.
        watch: where progress shows; silent by default.
        memo: a file in which the large model's answers are kept, so that a run that was stopped asks nothing twice.

    Raises:
        ConfigError: the time does not even do for reading the texts with the small model, or there is a limit in
            dollars and the large model's price is not known.
        ModelError: a model does not load, or the endpoint fails.
    """
    settings = settings or Settings()
    watch = watch or Watch()
    budget = Budget(settings.max_seconds, settings.max_cost)
    task = _without_idle_rows(task, settings, large)
    with Meter() as meter:
        with watch.phase(f"loading {small.name}"):
            small.load()
        kinds = students(task, small, watch, budget)
        with watch.phase("fitting and timing small models", len(kinds)) as advance:
            found = []
            for student in kinds:
                tune(task, student)
                found.append(fitted(task, student, patience=min(2.0, 0.02 * (settings.max_seconds or 100.0))))
                advance(1)
        best = best_by_kept_rows([candidate for candidate, _ in found])
        index = [candidate for candidate, _ in found].index(best)
        curves = learning_curves(
            task, kinds, watch, budget, counts=settings.counts, seeds=settings.seeds, seed=settings.seed
        )
        _complete(curves, found, task)
        reading = next(one.seconds for one, _ in found if one.key == "encoder") or 0.0
        more = further(task, small, watch, budget, reading, large=large is not None, seed=settings.seed)
        measured = [one for one, _ in found] + [one.candidate for one in more]
        classifier: TextClassifier | AnyStudent = found[index][1]
        judged, threshold, distilled = None, None, None
        if large is not None:
            texts = pool(task, settings.seed)
            judged = judge(
                task,
                large,
                _vectors(kinds),
                watch,
                budget,
                Memo(memo),
                identity=identity(large),
                sizes=Sizes(settings.test_rows, settings.calibrate_rows, settings.unlabelled_rows),
                pool=texts,
                shots=settings.shots,
                seed=settings.seed,
            )
        if judged is not None:
            both = together(
                task, small, kinds[index], [one for one, _ in found], more, judged, texts, watch, budget, settings.seed
            )
            threshold, distilled = both.threshold, both.distilled
            if both.tuned is not None:
                measured.append(both.tuned.gold)
            if both.behind is not None:
                best, classifier = both.small, both.behind.student
        else:
            best = best_by_kept_rows(measured)
            behind = [one.student for one in more if one.candidate is best]
            classifier = behind[0] if behind else classifier
    contenders = [best]
    candidates = [majority(task), *measured]
    crossings: dict[str, Crossover] = {}
    if judged is not None and threshold is not None:
        deferring = cascade(task, best, judged, threshold)
        contenders += [deferring, judged.best]
        candidates += [judged.zero, *([judged.few] if judged.few else []), deferring]
        crossings = {curve.key: crossover(curve, judged.best.correct, judged.best.rows) for curve in curves}
    if distilled is not None:
        contenders.insert(1, distilled.candidate)
        candidates += [distilled.silver, *([distilled.other] if distilled.other else []), distilled.candidate]
    verdict = decide(
        contenders,
        margin=settings.margin,
        alpha=settings.alpha,
        crossing=crossings.get(best.key),
        twin=None if distilled is None else distilled.twin,
    )
    licences = {one.name: _licence(one) for one in (small, large) if one is not None}
    return Advice(
        task,
        settings,
        candidates,
        contenders,
        curves,
        crossings,
        verdict,
        _gates(task, settings, verdict, judged, small, licences, meter.reading),
        best,
        classifier,
        judged,
        threshold,
        distilled,
        licences,
        meter.reading,
        budget.spent,
        machine(),
        large is not None,
    )


def _without_idle_rows(task: TextTask, settings: Settings, large: Model | None) -> TextTask:
    """Leave out the unlabelled rows that nothing would learn from, as reading them all may take hours."""
    most = settings.unlabelled_rows if large is not None else 0
    if len(task.unlabelled) <= most:
        return task
    picked = np.random.default_rng([settings.seed, 5]).permutation(len(task.unlabelled))[:most]
    note = (
        f"of {len(task.unlabelled):,} unlabelled rows a seeded sample of {most:,} is used"
        if large is not None
        else f"{len(task.unlabelled):,} unlabelled rows are not used: no large model is there to label them"
    )
    return dataclasses.replace(
        task, unlabelled=[task.unlabelled[i] for i in np.sort(picked)], notes=(*task.notes, note)
    )


def _licence(model: Encoder | LocalModel | Model) -> str:
    if isinstance(model, RemoteModel):
        return gates.SERVED
    return str(getattr(model, "licence", "unknown"))


def _vectors(kinds: Sequence[Student]) -> Student:
    """Return the student whose vectors tell which texts are typical of a label."""
    return next(student for student in kinds if student.key == "encoder")


def _complete(curves: Sequence[Curve], found: Sequence[tuple[Candidate, TextClassifier]], task: TextTask) -> None:
    """Add to each curve the point of all training rows, at the mean number of rows a class."""
    mean = mean_labels(task)
    for curve, (candidate, _) in zip(curves, found, strict=True):
        if not curve.counts or mean > curve.counts[-1]:
            curve.counts.append(mean)
            curve.correct.append(candidate.correct)
            curve.seeds.append(1)


def _gates(
    task: TextTask,
    settings: Settings,
    verdict: Verdict,
    judged: Judged | None,
    small: Encoder | LocalModel,
    licences: dict[str, str],
    reading: Reading,
) -> list[Gate]:
    texts = [*task.train, *task.test]
    if isinstance(small, Encoder):
        limit = small.max_length
        cut = {small.name: (sum(n > limit for n in small.lengths(texts)), len(texts))}
    else:
        cut = {small.name: (sum(small.count(text) > small.max_length for text in texts), len(texts))}
    if judged is not None:
        asked = len(judged.best.rows)
        cut[judged.labeller.name] = (int(judged.best.details["truncated"]), asked)
    return [
        gates.licence_gate(licences, settings.licences),
        gates.memory_gate(verdict.chosen.weights, reading.peak_memory, settings.max_memory),
        gates.truncation_gate(cut),
        gates.unseen_gate(task.unseen, len(task.test)),
    ]


def kept(where: Path) -> Path:
    """Return the file of an output folder in which the large model's answers are kept."""
    return where / "work" / "large.jsonl"


__all__ = ["Advice", "Settings", "advise", "identity", "kept"]
