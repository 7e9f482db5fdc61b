"""The two ways to use both models: a cascade at run time, and the large model as a teacher at training time only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.candidate import Candidate
from pilotfish.compete.students import fit_head
from pilotfish.models.classify import SoftmaxHead, TextClassifier, TfidfFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.large import Judged
    from pilotfish.compete.students import Student
    from pilotfish.compete.task import TextTask
    from pilotfish.models.classify import Labels


@dataclass(frozen=True)
class Threshold:
    """The small model's confidence below which the large one is asked, and what that gave on the rows kept back.

    Attributes:
        above: replies at least this confident are accepted; infinite defers always, 0 never.
        deferred: the share of rows kept back that it deferred.
        accuracy: of the cascade on those rows; an optimistic figure, since they chose the threshold.
        rows: how many rows that was.
    """

    above: float
    deferred: float
    accuracy: float
    rows: int


def choose_threshold(
    confidence: NDArray[np.float64], small: NDArray[np.float64], large: NDArray[np.float64]
) -> Threshold:
    """Return the threshold with the most right answers; of equals the one that defers least.

    Args:
        confidence: (rows,) the small model's probability of its label, on rows that taught it nothing.
        small: (rows,) 1 where the small model is right.
        large: (rows,) 1 where the large one is.
    """
    if not len(confidence):
        return Threshold(0.0, 0.0, float("nan"), 0)
    order = np.argsort(confidence, kind="stable")
    # After deferring the k least confident rows: the large model's hits among them and the small one's among the rest.
    hits = np.concatenate([[0.0], np.cumsum(large[order])]) + np.concatenate(
        [np.cumsum(small[order][::-1])[::-1], [0.0]]
    )
    ranked = confidence[order]
    # Rows of equal confidence are deferred together or not at all.
    cuts = [0, *(k for k in range(1, len(ranked)) if ranked[k] > ranked[k - 1]), len(ranked)]
    k = max(cuts, key=lambda cut: (hits[cut], -cut))
    above = 0.0 if k == 0 else float("inf") if k == len(ranked) else _between(ranked[k - 1], ranked[k])
    return Threshold(above, k / len(ranked), float(hits[k]) / len(ranked), len(ranked))


def _between(low: float, high: float) -> float:
    """Return the middle; of neighbouring floats, whose middle is one of them, the higher."""
    middle = float((low + high) / 2)
    return middle if middle > low else float(high)


def threshold_for(task: TextTask, student: Student, judged: Judged) -> Threshold:
    """Choose the cascade's threshold on the calibration rows, by a head fitted without them and without tuning rows."""
    kept = task.calibrate[: len(judged.calibrate.labels)]
    if not len(kept):
        return choose_threshold(*(np.array([]),) * 3)
    texts, truth = task.taken(kept)
    if student.dense:
        x, held = student.train[task.fit], student.train[kept]
    else:
        features = TfidfFeatures().fit([task.train[i] for i in task.fit])
        x, held = features.transform([task.train[i] for i in task.fit]), features.transform(texts)
    head = fit_head(student.c, x, [task.train_labels[i] for i in task.fit])
    head.temperature_ = student.temperature
    probabilities = head.predict_proba(held)
    small = np.array([a == b for a, b in zip(head.predict(held), truth, strict=True)], dtype=np.float64)
    large = np.array([a == b for a, b in zip(judged.calibrate.labels, truth, strict=True)], dtype=np.float64)
    return choose_threshold(probabilities.max(axis=1), small, large)


def cascade(task: TextTask, small: Candidate, judged: Judged, threshold: Threshold) -> Candidate:
    """Return what the cascade says of the rows that the large model answered, and what it costs."""
    large = judged.best
    assert small.probabilities is not None
    confidence = small.probabilities.max(axis=1)[large.rows]
    defer = confidence < threshold.above
    answers = [
        theirs if deferred else small.answers[row]
        for row, theirs, deferred in zip(large.rows, large.answers, defer, strict=True)
    ]
    share = float(defer.mean()) if len(defer) else 0.0
    dollars = None if large.dollars is None else (small.dollars or 0.0) + share * large.dollars
    return Candidate(
        "cascade",
        f"cascade, {share:.0%} to large",
        "cascade",
        large.rows,
        answers,
        large.truth,
        chosen_by=threshold.accuracy,
        seconds=None if small.seconds is None or large.seconds is None else small.seconds + share * large.seconds,
        p50=small.p50 if share < 0.5 else _sum(small.p50, large.p50),
        p95=small.p95 if share < 0.05 else _sum(small.p95, large.p95),
        dollars=dollars,
        joules=None if small.joules is None or large.joules is None else small.joules + share * large.joules,
        joules_kind=large.joules_kind,
        weights=small.weights + large.weights,
        details={
            "threshold": threshold.above if np.isfinite(threshold.above) else None,
            "deferred": share,
            "deferred_when_chosen": threshold.deferred,
            "threshold_rows": threshold.rows,
        },
    )


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


@dataclass(frozen=True)
class Lesson:
    """What a student may learn from: people's labels on some training rows, and texts for the large model to label.

    Attributes:
        gold: indices into `task.train` whose labels people gave.
        pool: texts without labels.
        vectors: the student's vectors of the pool.
        hidden: whether the pool is training rows whose labels are hidden, for want of unlabelled rows.
    """

    gold: NDArray[np.int64]
    pool: list[str]
    vectors: Any
    hidden: bool


GOLD_A_CLASS = 8


def lesson(task: TextTask, student: Student, seed: int = 0) -> Lesson:
    """Return the unlabelled rows with all of people's labels; without any, training rows with the labels hidden.

    In the second case people's labels are eight a class, so that what the large model adds can be seen at all.
    """
    rng = np.random.default_rng([seed, 77])
    if task.unlabelled:
        order = rng.permutation(len(task.unlabelled))
        vectors = (
            student.unlabelled[order]
            if student.dense
            else student.features.transform([task.unlabelled[i] for i in order])
        )
        return Lesson(np.arange(len(task.train)), [task.unlabelled[i] for i in order], vectors, hidden=False)
    labels = np.array(task.train_labels, dtype=object)
    fit = rng.permutation(task.fit)
    gold = np.concatenate([fit[labels[fit] == label][:GOLD_A_CLASS] for label in task.labels])
    rest = fit[~np.isin(fit, gold)]
    return Lesson(np.sort(gold), [task.train[i] for i in rest], student.train[rest], hidden=True)


@dataclass
class Taught:
    """Small models that learnt from the large one's labels, beside the same model taught by people alone.

    Attributes:
        silver: learnt from the large model's labels only.
        both: learnt from people's labels and the large model's.
        gold: the same student with the same people's labels only.
        classifier: the classifier behind `both`.
        lesson: what there was to learn from.
        silver_rows: how many texts the large model labelled.
    """

    silver: Candidate
    both: Candidate
    gold: Candidate
    classifier: TextClassifier
    lesson: Lesson
    silver_rows: int


def teach(task: TextTask, student: Student, small: Candidate, judged: Judged, lesson: Lesson) -> Taught | None:
    """Let the student learn from the pool as the large model labelled it; None where it gave fewer than two labels.

    A label's weight is the large model's probability of it (1 for a black box, which gives none); beside people's
    labels it counts 0.1 or 1 times that, whichever does better on the tuning rows.
    """
    named = [i for i, label in enumerate(judged.taught.labels) if label is not None]
    silver = [str(judged.taught.labels[i]) for i in named]
    if len(set(silver)) < 2:
        return None
    weights = _confidences(judged.taught)[named]
    vectors, train, test, features = lesson.vectors[named], student.train, student.test, student.features
    if not student.dense:
        # Words that only the unlabelled texts have count too: that is what the large model's labels can teach.
        own = TfidfFeatures().fit([*(task.train[i] for i in lesson.gold), *(lesson.pool[i] for i in named)])
        vectors, train, test = (
            own.transform(texts) for texts in ([lesson.pool[i] for i in named], task.train, task.test)
        )
        features = own
    tune_x, tune_y = train[task.tune], [task.train_labels[i] for i in task.tune]
    learn = np.setdiff1d(lesson.gold, np.concatenate([task.tune, task.calibrate]))

    def joined(rows: NDArray[np.int64], share: float) -> SoftmaxHead:
        labels = [*(task.train_labels[i] for i in rows), *silver]
        counts = np.concatenate([np.ones(len(rows)), share * weights])
        return fit_head(student.c, _stacked(train[rows], vectors), labels, counts)

    trials = [(_hits(joined(learn, share), tune_x, tune_y), -share) for share in (0.1, 1.0)]
    tuned, share = max(trials)[0], -max(trials)[1]
    head = joined(lesson.gold, share)
    head.temperature_ = student.temperature
    alone = fit_head(student.c, vectors, silver, weights)
    by_people = fit_head(student.c, train[lesson.gold], [task.train_labels[i] for i in lesson.gold])
    count = len(lesson.gold)

    def candidate(key: str, what: str, fitted: SoftmaxHead, gold: int, taught: int) -> Candidate:
        return Candidate(
            key,
            f"taught: {what}",
            "taught",
            np.arange(len(task.test)),
            fitted.predict(test),
            task.test_labels,
            chosen_by=tuned if key == "taught" else _hits(fitted, tune_x, tune_y),
            probabilities=fitted.predict_proba(test) if fitted.classes_ == task.labels else None,
            seconds=small.seconds,
            p50=small.p50,
            p95=small.p95,
            joules=small.joules,
            joules_kind=small.joules_kind,
            weights=small.weights,
            details={"labels_used": gold, "silver_labels_used": taught, "silver_weight": share},
        )

    return Taught(
        silver=candidate("taught-silver", f"{len(silver):,} large's labels only", alone, 0, len(silver)),
        both=candidate("taught", f"{count:,} people's + {len(silver):,} large's labels", head, count, len(silver)),
        gold=candidate("taught-gold", f"the same {count:,} people's labels only", by_people, count, 0),
        classifier=TextClassifier(features, head),
        lesson=lesson,
        silver_rows=len(silver),
    )


def _stacked(a: Any, b: Any) -> Any:
    if isinstance(a, np.ndarray):
        return np.vstack([a, b])
    from scipy.sparse import vstack

    return vstack([a, b], format="csr")


def _confidences(labels: Labels) -> NDArray[np.float64]:
    if labels.logprobs is None:
        return np.ones(len(labels.labels))
    return np.asarray(np.exp(labels.logprobs.max(axis=1)))


def _hits(head: SoftmaxHead, x: Any, truth: Sequence[str]) -> float:
    return float(np.mean([a == b for a, b in zip(head.predict(x), truth, strict=True)])) if truth else 0.0
