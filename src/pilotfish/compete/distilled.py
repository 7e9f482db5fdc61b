"""Large at training time only: a student that learns people's labels and the large model's probabilities at once.

Source: Hinton et al. 2015, section 2. The share of people's labels in the loss, alpha, is chosen by folds over them
(`pilotfish.distill.blackbox.students`); at alpha = 1 the student does not listen to the large model at all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pilotfish._extras import need
from pilotfish.compete.learner import AnyStudent, Learner, learned, measured
from pilotfish.compete.students import weights_of
from pilotfish.distill.blackbox.students import LinearStudent
from pilotfish.measure.intervals import Interval, paired_bootstrap, paired_score
from pilotfish.models.classify import Remembered, TfidfFeatures

if TYPE_CHECKING:
    from pilotfish.compete.candidate import Candidate
    from pilotfish.compete.lesson import Lesson
    from pilotfish.compete.students import Student
    from pilotfish.compete.task import TextTask
    from pilotfish.compete.tuned import Tuned
    from pilotfish.compete.watch import Budget, Watch

ALPHAS = (0.5, 0.9, 0.98, 1.0)
FEW_ALPHAS = (0.9, 1.0)  # where time is short
PATIENCE = 0.5  # the share of the time left that all these fits may take


@dataclass
class Distilled:
    """The distilled student, and what it is to be held against.

    Attributes:
        candidate: learnt people's labels and the large model's: what "large at training time only" rests on.
        twin: the same student with people's labels only: the difference is what the large model's are worth.
        silver: a linear one with the large model's labels only.
        student: the one behind `candidate`, which can be saved.
        lesson: what there was to learn from.
        other: the linear one, where the fine-tuned one is `candidate`, or the other way round.
    """

    candidate: Candidate
    twin: Candidate
    silver: Candidate
    student: AnyStudent
    lesson: Lesson
    other: Candidate | None = None

    @property
    def gain(self) -> Interval:
        """The student's accuracy less its twin's, paired over the held-out rows, with a 95% interval."""
        a, b = self.candidate.correct, self.twin.correct
        if (a == b).all():
            return paired_score(a, b)
        return paired_bootstrap(a, b, method="percentile", resamples=5000)

    @property
    def alpha(self) -> float:
        """The share of people's labels in its loss."""
        return float(self.candidate.details["alpha"])

    def beside(self, tuned: Tuned) -> Distilled:
        """Return it with the fine-tuned student; the better of the two, by their loss on rows kept back, is it now."""
        if tuned.both is None or tuned.by_both is None:
            return self
        if tuned.by_both.loss >= self.candidate.details["loss_on_rows_kept_back"]:
            return replace(self, other=tuned.both)
        student = tuned.by_both.student
        return replace(self, candidate=tuned.both, twin=tuned.gold, student=student, other=self.candidate)

    def to_json(self) -> dict[str, Any]:
        """Return what was compared, as plain data."""
        told = {"twin": self.twin, "large_labels_only": self.silver}
        return {
            "candidate": self.candidate.key,
            **{name: {"title": one.title, "accuracy": one.accuracy.to_json()} for name, one in told.items()},
            "gain_over_twin": self.gain.to_json(),
        }


def distil(
    task: TextTask, kind: Student, small: Candidate, lesson: Lesson, watch: Watch, budget: Budget, seed: int = 0
) -> Distilled | None:
    """Teach a linear student; None where the large model named fewer than two labels, or there is no time for it.

    It stands on what the best student that people alone taught stands on, with its penalty. What `small`, that
    student, takes to run it takes as well, as all but its numbers is the same.
    """
    kept = {task.train[i] for i in (*task.tune, *task.calibrate)}
    if len(set(lesson.without(kept).teacher.labels) - {None}) < 2:
        return None
    read = _read(task, kind) if kind.dense else None

    def make(alpha: float | Sequence[float]) -> LinearStudent:
        # Folds are only to choose by, and there are twenty of their fits.
        tolerance = 1e-9 if isinstance(alpha, float) else 1e-7
        return LinearStudent(
            read or TfidfFeatures(), c=kind.c, alpha=alpha, held_out=0.0, seed=seed, tolerance=tolerance
        )

    people, large = lesson.by_people(), lesson.by_large()
    # Fits of a few milliseconds a step, as in `fit_head`: threads would only wait for one another.
    with need("threadpoolctl", "train").threadpool_limits(1, user_api="blas"):
        started = time.perf_counter()
        by_people = learned(task, make, people, 1.0)
        alphas = _alphas((time.perf_counter() - started) / 2 * len(lesson.texts) / len(people.texts), watch, budget)
        if alphas is None:
            return None
        by_large, both = learned(task, make, large, 0.0), learned(task, make, lesson, alphas)
    wholly = f"distilled: {lesson.people:,} people's + {lesson.taught:,} large's labels"
    alone = f"distilled: {lesson.taught:,} large's labels only"
    twin = f"the same: {lesson.people:,} people's labels only"

    def candidate(learner: Learner, part: Lesson, key: str, title: str) -> Candidate:
        one = measured(task, learner, part, key, title, kind.title)
        assert isinstance(learner.student, LinearStudent)
        if read is not None:
            learner.student.features = kind.features  # for texts that are not the task's
        one.weights = weights_of(learner.student.classifier)
        one.seconds, one.p50, one.p95 = small.seconds, small.p50, small.p95
        one.joules, one.joules_kind = small.joules, small.joules_kind
        return one

    return Distilled(
        candidate(both, lesson, "distilled", wholly),
        candidate(by_people, people, "distilled-people", twin),
        candidate(by_large, large, "distilled-large", alone),
        both.student,
        lesson,
    )


def _alphas(fit: float, watch: Watch, budget: Budget) -> tuple[float, ...] | None:
    """Return the alphas to choose from, given the seconds of a fit on everything; None where time does for none."""
    for some in (ALPHAS, FEW_ALPHAS):
        # Five folds with four fifths of the rows for each alpha, then two fits, and two by the large model's alone.
        if fit * (4 * len(some) + 4) <= PATIENCE * budget.seconds_left():
            return some
    watch.say(f"there is no time left for a distilled student, at {fit:.2g} s a fit")
    return None


def _read(task: TextTask, student: Student) -> Remembered:
    """Return what a student that is fitted many times stands on: a task's texts by their vectors, read already."""
    parts = ((task.train, student.train), (task.test, student.test), (task.unlabelled, student.unlabelled))
    known = {text: vector for texts, vectors in parts for text, vector in zip(texts, vectors, strict=True)}
    return Remembered(student.features, known)
