"""Both models at run time: a cascade, its threshold chosen on rows kept back from training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.candidate import Candidate
from pilotfish.compete.students import fit_head
from pilotfish.models.classify import TfidfFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.large import Judged
    from pilotfish.compete.students import Student
    from pilotfish.compete.task import TextTask


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
    texts, _ = task.taken(kept)
    if student.dense:
        x, held = student.train[task.fit], student.train[kept]
    else:
        features = TfidfFeatures().fit([task.train[i] for i in task.fit])
        x, held = features.transform([task.train[i] for i in task.fit]), features.transform(texts)
    head = fit_head(student.c, x, [task.train_labels[i] for i in task.fit])
    head.temperature_ = student.temperature
    return threshold_by(task, judged, head.predict_proba(held), head.classes_)


def threshold_by(
    task: TextTask, judged: Judged, probabilities: NDArray[np.float64], classes: Sequence[str]
) -> Threshold:
    """Choose the threshold by the probabilities, (calibration rows, classes), of a model that did not see them."""
    _, truth = task.taken(task.calibrate[: len(judged.calibrate.labels)])
    probabilities = probabilities[: len(truth)]
    if not len(truth):
        return choose_threshold(*(np.array([]),) * 3)
    said = [classes[i] for i in probabilities.argmax(axis=1)]
    small = np.array([a == b for a, b in zip(said, truth, strict=True)], dtype=np.float64)
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
