"""The small candidates: majority, TF-IDF, encoder and static vectors, each under a linear head."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.compete.candidate import Candidate
from pilotfish.errors import ConfigError
from pilotfish.measure.meters import Meter, measure_latency
from pilotfish.models.classify import (
    BagFeatures,
    EncoderFeatures,
    Features,
    SoftmaxHead,
    StaticFeatures,
    TextClassifier,
    TfidfFeatures,
)
from pilotfish.models.encoder import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.task import TextTask
    from pilotfish.compete.watch import Budget, Watch
    from pilotfish.models.local import LocalModel

# The inverse penalties tried on the tuning rows; the learning curve, which must not look at those, takes the middle.
PENALTIES = (3.0, 10.0, 30.0)
DEFAULT_C = 10.0
# Fewer tuning rows than this can be separated by luck, and the temperature would run off to its end.
MIN_TUNE = 20
READING = 0.7  # the share of the time left that reading the texts may take
TIMED = 60  # rows that are answered one by one for their latency


@dataclass
class Student:
    """A kind of features and its vectors of every text of the task, computed once."""

    key: str
    title: str
    features: Features
    train: Any = None
    test: Any = None
    unlabelled: Any = None
    c: float = DEFAULT_C
    tuned: float = 0.0
    temperature: float = 1.0

    @property
    def dense(self) -> bool:
        """Whether the vectors do not depend on the training rows (an encoder's), so that they can be reused."""
        return not isinstance(self.features, TfidfFeatures)

    def vectors(self, texts: Sequence[str], where: NDArray[np.int64], held: Sequence[str]) -> tuple[Any, Any]:
        """Return features of training rows `where` and of the held-out texts, learnt from the former only."""
        if self.dense:
            return self.train[where], self.test
        features = TfidfFeatures().fit([texts[i] for i in where])
        return features.transform([texts[i] for i in where]), features.transform(held)


def students(task: TextTask, small: Encoder | LocalModel, watch: Watch, budget: Budget | None = None) -> list[Student]:
    """Return the students with their vectors; an encoder gives static vectors too, a language model does not.

    Raises:
        ConfigError: reading the texts would take most of the time there is.
    """
    everything = [*task.train, *task.test, *task.unlabelled]
    if budget is not None and budget.max_seconds is not None:
        _check_time(EncoderFeatures(small), everything, budget)
    kinds = [Student("tfidf", "TF-IDF + logistic regression", TfidfFeatures())]
    kinds.append(Student("encoder", f"{small.name} + head", EncoderFeatures(small)))
    if isinstance(small, Encoder):
        kinds.append(Student("static", f"static {small.name} + head", StaticFeatures(small)))
    for student in kinds:
        if not student.dense:
            continue
        if student.key == "static":
            with watch.phase("distilling static vectors (model2vec)"):
                student.features.fit(task.train)
        with watch.phase(f"reading the texts with {student.title.partition(' + ')[0]}", len(everything)) as advance:
            vectors = student.features.transform(everything, progress=advance)
        a, b = len(task.train), len(task.train) + len(task.test)
        student.train, student.test, student.unlabelled = vectors[:a], vectors[a:b], vectors[b:]
    return kinds


def _check_time(features: EncoderFeatures, texts: Sequence[str], budget: Budget) -> None:
    sample = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))[:64]]
    features.transform(sample[:8])  # the first pass warms up
    started = time.perf_counter()
    features.transform(sample)
    expected = (time.perf_counter() - started) / len(sample) * len(texts)
    if expected > READING * budget.seconds_left():
        raise ConfigError(
            f"--max-seconds {budget.max_seconds:g} is too short: reading the {len(texts):,} texts with "
            f"{features.encoder.name} takes about {expected:,.0f} s; give more time, fewer rows or a smaller model"
        )


def fit_head(c: float, x: Any, labels: Sequence[str], weights: NDArray[np.float64] | None = None) -> SoftmaxHead:
    """Fit a linear head, in one thread.

    Each step is a few milliseconds of linear algebra: threads that wait for one another make it no faster on an idle
    machine, and many times slower on a busy one.
    """
    with need("threadpoolctl", "train").threadpool_limits(1, user_api="blas"):
        return SoftmaxHead(c).fit(x, labels, sample_weight=weights)


def tune(task: TextTask, student: Student) -> None:
    """Choose the penalty and the temperature on the tuning rows, by a head fitted on the `fit` rows only.

    Without tuning rows both stay as they are, and with fewer than 20 of them the temperature does.
    """
    if not len(task.tune):
        return
    _, labels = task.taken(task.fit)
    held, truth = task.taken(task.tune)
    if student.dense:
        x, held_x = student.train[task.fit], student.train[task.tune]
    else:
        features = TfidfFeatures().fit([task.train[i] for i in task.fit])
        x, held_x = features.transform([task.train[i] for i in task.fit]), features.transform(held)
    best: tuple[float, float] | None = None
    for c in PENALTIES:
        head = fit_head(c, x, labels)
        if len(truth) >= MIN_TUNE:
            head.calibrate(held_x, truth)
        # The likelihood tells penalties apart where the accuracy of a few tuning rows does not.
        loss = _log_loss(head, held_x, truth)
        if best is None or loss < best[0]:
            hits = float(np.mean([a == b for a, b in zip(head.predict(held_x), truth, strict=True)]))
            best = (loss, hits)
            student.c, student.temperature, student.tuned = c, head.temperature_, hits


def _log_loss(head: SoftmaxHead, x: Any, truth: Sequence[str]) -> float:
    index = {label: i for i, label in enumerate(head.classes_)}
    rows = [i for i, label in enumerate(truth) if label in index]
    if not rows:
        return 0.0
    picked = head.predict_proba(x)[rows, [index[truth[i]] for i in rows]]
    return float(-np.log(picked.clip(min=1e-12)).mean())


def fitted(task: TextTask, student: Student, patience: float = 2.0) -> tuple[Candidate, TextClassifier]:
    """Fit a tuned student on every training row; return what it says of the test rows, and the classifier.

    `patience` is the most seconds that each of the two timings (single rows, batches) takes.
    """
    if not student.dense:
        student.features.fit(task.train)
        student.train, student.test = student.features.transform(task.train), student.features.transform(task.test)
    head = fit_head(student.c, student.train, task.train_labels)
    head.temperature_ = student.temperature
    classifier = TextClassifier(student.features, head)
    candidate = Candidate(
        student.key,
        student.title,
        "small",
        np.arange(len(task.test)),
        head.predict(student.test),
        task.test_labels,
        chosen_by=student.tuned,
        probabilities=head.predict_proba(student.test),
        weights=weights_of(classifier),
        details={"labels_used": len(task.train), "c": student.c, "temperature": round(student.temperature, 4)},
    )
    time_it(candidate, classifier.predict_proba, task.test, patience)
    return candidate, classifier


def majority(task: TextTask) -> Candidate:
    """Always the commonest training label: what a candidate must beat to have learnt anything."""
    label = Counter(task.train_labels).most_common(1)[0][0]
    rows = np.arange(len(task.test))
    return Candidate(
        "majority",
        f"majority: always {label!r}",
        "baseline",
        rows,
        [label] * len(rows),
        task.test_labels,
        seconds=0.0,
        p50=0.0,
    )


def by_name(task: TextTask, student: Student) -> NDArray[np.float64]:
    """Return (test rows,) 1 where the label whose *name* is nearest to the text is right: a student with no labels."""
    names = [task.names.get(label) or label.replace("_", " ") for label in task.labels]
    vectors = np.asarray(student.features.transform(names))
    scores = student.test @ (vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)).T
    best = [task.labels[i] for i in np.asarray(scores).argmax(axis=1)]
    return np.array([a == b for a, b in zip(best, task.test_labels, strict=True)], dtype=np.float64)


def weights_of(classifier: TextClassifier) -> int:
    """Return the bytes of weights a classifier holds in memory."""
    size = int(classifier.head.coef_.nbytes)
    features = classifier.features
    if isinstance(features, EncoderFeatures):
        size += sum(int(p.numel() * p.element_size()) for p in features.encoder.model.parameters())
    if isinstance(features, BagFeatures):
        size += int(features.vectors_.nbytes + features.bucket_.nbytes)
    if isinstance(features, StaticFeatures):
        size += int(features.model_.embedding.nbytes)
    return size


def time_it(
    candidate: Candidate, predict: Callable[[Sequence[str]], object], texts: Sequence[str], patience: float = 2.0
) -> None:
    """Measure seconds and joules a row in batches, and the latency of single rows."""
    one = measure_latency(predict, texts[:TIMED], max_seconds=patience)
    with Meter() as meter:
        many = measure_latency(predict, texts[:512], batch=64, warmup=1, max_seconds=patience)
    candidate.p50, candidate.p95 = one.p50, one.p95
    candidate.seconds = 1.0 / many.rows_per_second
    energy = meter.reading.energy
    candidate.joules = energy.joules / (sum(many.rows) + min(64, len(texts)))  # the warm-up batch took some too
    candidate.joules_kind = energy.kind
