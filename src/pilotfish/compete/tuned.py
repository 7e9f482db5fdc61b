"""The encoder itself fine-tuned, by people's labels alone and by the large model's beside them, where time allows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pilotfish.compete.learner import Learner, learned, measured
from pilotfish.compete.students import time_it, weights_of
from pilotfish.distill.blackbox.students import EncoderStudent
from pilotfish.distill.blackbox.students.tuned import FIT
from pilotfish.models.encoder import Encoder

if TYPE_CHECKING:
    from pilotfish.compete.candidate import Candidate
    from pilotfish.compete.lesson import Lesson
    from pilotfish.compete.task import TextTask
    from pilotfish.compete.watch import Budget, Watch
    from pilotfish.models.local import LocalModel

# Seconds of learning from a text, in seconds of reading it; and what a fit takes besides (a copy, a checkpoint).
TIMES, BESIDES = 6.0, 3.0
PATIENCE = 0.5  # the share of the time left that it may take


@dataclass
class Tuned:
    """An encoder fine-tuned by people's labels, and by the large model's as well.

    Attributes:
        gold: by people's: a small model as any other.
        both: by both; None where the large model is not listened to (alpha is 1).
        by_people: who is behind `gold`.
        by_both: who is behind `both`.
    """

    gold: Candidate
    both: Candidate | None
    by_people: Learner
    by_both: Learner | None


def fine_tuned(
    task: TextTask,
    small: Encoder | LocalModel,
    lesson: Lesson,
    alpha: float,
    seconds: float,
    watch: Watch,
    budget: Budget,
    seed: int = 0,
) -> Tuned | None:
    """Fine-tune the encoder; None where it is none, where no limit of time says how long this may take, or it is short.

    Args:
        task: the rows.
        small: the encoder.
        lesson: what there is to learn from.
        alpha: the share of people's labels, as folds over the linear student chose it: folds of its own would take five
            fits for every alpha.
        seconds: that reading a text takes.
        watch: where it shows.
        budget: of time.
        seed: of the order and the head.
    """
    if not isinstance(small, Encoder) or budget.max_seconds is None:
        return None
    people = lesson.by_people()
    lessons = [people, lesson] if alpha < 1 else [people]
    epochs = _epochs(task, lessons, seconds, budget)
    if epochs is None:
        watch.say(f"{small.name} is not fine-tuned: that takes longer than half of the time left")
        return None

    def make(share: float | Sequence[float]) -> EncoderStudent:
        how = replace(FIT, epochs=epochs, seed=seed)
        return EncoderStudent(small, alpha=share, fit=how, held_out=0.0, seed=seed)

    def candidate(learner: Learner, part: Lesson, key: str, title: str, *, large: bool) -> Candidate:
        found = measured(task, learner, part, key, title, f"fine-tuned {small.name}", large=large)
        assert isinstance(learner.student, EncoderStudent)
        classifier = learner.student.classifier
        found.weights = weights_of(classifier)
        found.details["epochs"] = epochs
        time_it(found, classifier.predict_proba, task.test, min(2.0, 0.02 * (budget.max_seconds or 100.0)))
        return found

    title = f"fine-tuned {small.name}, {people.people:,} people's labels"
    with watch.phase(f"fine-tuning {small.name}, {epochs} epochs", len(lessons)) as advance:
        started = time.perf_counter()
        by_people = learned(task, make, people, 1.0)
        advance(1)
        gold = candidate(by_people, people, "tuned", title, large=False)
        took = (time.perf_counter() - started) * len(lesson.texts) / len(people.texts)
        if alpha == 1 or took > 0.9 * budget.seconds_left():
            return Tuned(gold, None, by_people, None)
        by_both = learned(task, make, lesson, alpha)
        advance(1)
    what = f"distilled, fine-tuned: {lesson.people:,} + {lesson.taught:,} large's labels"
    return Tuned(gold, candidate(by_both, lesson, "distilled-tuned", what, large=True), by_people, by_both)


def _epochs(task: TextTask, lessons: Sequence[Lesson], seconds: float, budget: Budget) -> int | None:
    """Return how many epochs of all fits there is time for, three at most; None for none."""
    kept = len(task.tune) + len(task.calibrate)
    texts = sum(2 * len(one.texts) - kept for one in lessons)
    for epochs in range(FIT.epochs, 0, -1):
        expected = TIMES * seconds * texts * epochs + 2 * len(lessons) * BESIDES
        if expected <= PATIENCE * budget.seconds_left():
            return epochs
    return None
