"""Fit a student twice: without the rows kept back, which then tell how good it is, and on everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.candidate import Candidate
from pilotfish.compete.students import MIN_TUNE
from pilotfish.distill.blackbox.students import BagStudent, EncoderStudent, LinearStudent
from pilotfish.models.classify.head import fit_temperature, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.lesson import Lesson
    from pilotfish.compete.task import TextTask

AnyStudent = LinearStudent | EncoderStudent | BagStudent
# The share of people's labels in the loss, or several to choose from -> a student that has not learnt yet.
Make = Callable[[float | Sequence[float]], AnyStudent]


@dataclass
class Learner:
    """A student that learnt from everything, and how good the same was without the rows kept back.

    Attributes:
        student: learnt from every row.
        chosen_by: the share of the tuning rows that it was right on without them; 0 where there are none.
        kept: (rows kept back for the threshold, classes) its probabilities without them.
        loss: the log-loss of people's labels of all rows kept back, tuning rows too, without them, in nats a row and at
            the temperature at which it is least, as over folds: where rows are few it tells students apart that are
            right on as many of them; infinite where there are none.
        alpha: the share of people's labels in its loss.
        tried: each alpha that was tried -> the log-loss of people's labels over folds, in nats a row.
    """

    student: AnyStudent
    chosen_by: float
    kept: NDArray[np.float64]
    loss: float
    alpha: float
    tried: dict[float, float]


def learned(task: TextTask, make: Make, lesson: Lesson, alpha: float | Sequence[float]) -> Learner:
    """Choose alpha and the temperature without the rows kept back, then learn from everything with both.

    Raises:
        DataError: nothing is left to learn from without the rows kept back.
    """
    kept = {task.train[i] for i in (*task.tune, *task.calibrate)}
    rest = lesson.without(kept)
    first = make(alpha).fit(rest.texts, rest.gold, rest.teacher)
    held, truth = task.taken(task.tune)
    hits = float(np.mean([a == b for a, b in zip(first.predict(held), truth, strict=True)])) if held else 0.0
    if len(held) >= MIN_TUNE:
        index = {label: i for i, label in enumerate(first.classes_)}
        # Not calibrated yet: the logarithms of its probabilities are its logits, but for a number a row.
        logits = np.log(first.predict_proba(held).clip(min=1e-30))
        first.temperature_ = fit_temperature(logits, np.array([index[label] for label in truth]))
    texts, labels = task.taken(task.calibrate)
    sure = first.predict_proba(texts)
    everything = np.concatenate([first.predict_proba(held).reshape(-1, len(first.classes_)), sure])
    loss = _loss(everything, [first.classes_.index(label) for label in [*truth, *labels]])
    last = make(first.report_.alpha).fit(lesson.texts, lesson.gold, lesson.teacher)
    last.temperature_, last.report_.tried = first.temperature_, first.report_.tried
    return Learner(last, hits, sure, loss, first.report_.alpha, first.report_.tried)


def _loss(probabilities: NDArray[np.float64], truth: Sequence[int]) -> float:
    if not truth:
        return float("inf")
    logits = np.log(probabilities.clip(min=1e-30))
    scaled = softmax(logits / fit_temperature(logits, np.array(truth)))
    return float(-np.log(scaled[np.arange(len(truth)), truth].clip(min=1e-12)).mean())


def measured(
    task: TextTask, learner: Learner, lesson: Lesson, key: str, title: str, kind: str, *, large: bool = True
) -> Candidate:
    """Return what a learner says of the held-out rows, what it learnt from, and what its teacher took, once.

    Args:
        task: the rows.
        learner: who learnt.
        lesson: what it learnt from.
        key: the candidate's; `title` what a reader sees.
        title: see there.
        kind: what the student stands on, in words.
        large: whether it belongs to the answer "large at training time only".
    """
    probabilities = learner.student.predict_proba(task.test)
    classes = learner.student.classes_
    bill = lesson.teacher.bill
    return Candidate(
        key,
        title,
        "taught" if large else "small",
        np.arange(len(task.test)),
        [classes[i] for i in probabilities.argmax(axis=1)],
        task.test_labels,
        chosen_by=learner.chosen_by,
        probabilities=probabilities,
        once=bill.cost,
        details={
            "student": kind,
            "labels_used": lesson.people,
            "large_labels_used": lesson.taught,
            "alpha": learner.alpha,
            "alphas_tried": learner.tried,
            "loss_on_rows_kept_back": learner.loss,
            "teacher_calls": bill.calls,
            "teacher_tokens": bill.tokens_in + bill.tokens_out,
            "teacher_seconds": bill.seconds,
            "teacher_temperature": lesson.temperature,
        },
    )
