"""Teach one small classifier of a stated kind, and measure it: what `pilotfish classify learn` does.

    task = text_task(rows, text="text", label="intent")
    made = teach(task, "contrastive", Encoder("all-minilm-l6-v2"), scope="neighbours")
    made.classifier.save(folder)

The rows that the task keeps back teach nothing: they set the temperature, and the threshold of the scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from pilotfish.compete.further import LORA, LORA_HEAD
from pilotfish.compete.students import MIN_TUNE
from pilotfish.distill.blackbox.students import BagStudent, ContrastiveStudent, EncoderStudent, LinearStudent
from pilotfish.distill.blackbox.students.tuned import FIT
from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.measure.intervals import Interval, wilson
from pilotfish.measure.metrics import ece, macro_f1
from pilotfish.measure.outside import ScopeScores, scope_scores
from pilotfish.models.classify import EncoderFeatures, Features, StaticFeatures, TextClassifier, TfidfFeatures
from pilotfish.models.classify.head import fit_temperature
from pilotfish.train.contrast import FIT as PAIRS

if TYPE_CHECKING:
    from pilotfish.compete.learner import AnyStudent
    from pilotfish.compete.task import TextTask
    from pilotfish.models.classify.scope import Way
    from pilotfish.models.encoder import Encoder

__all__ = ["KINDS", "Graded", "Kind", "Made", "features_of", "graded", "student_of", "teach"]

Kind = Literal["tfidf", "encoder", "static", "bag", "contrastive", "tuned", "lora"]
KINDS: tuple[str, ...] = get_args(Kind)
WITHOUT = ("tfidf", "bag")  # an encoder


@dataclass(frozen=True)
class Graded:
    """What a classifier says of rows whose labels are known.

    Attributes:
        accuracy: on texts of its classes, whatever its scope says of them.
        macro_f1: the mean F1 of the labels.
        ece: how far its probabilities are from how often it is right.
        scope: what its scope is worth; None without one, or without texts outside.
        kept: the share of texts of its classes that the scope keeps; None without one.
    """

    accuracy: Interval
    macro_f1: float
    ece: float
    scope: ScopeScores | None = None
    kept: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        told = {"accuracy": self.accuracy.to_json(), "macro_f1": self.macro_f1, "ece": self.ece}
        return {
            **told,
            "scope": None if self.scope is None else self.scope.to_json(),
            "kept": None if self.kept is None else self.kept.to_json(),
        }

    def __str__(self) -> str:
        text = f"accuracy {self.accuracy}, macro F1 {self.macro_f1:.3f}, ECE {self.ece:.3f}"
        if self.scope is not None:
            return f"{text}; outside or not: {self.scope}"
        return text if self.kept is None else f"{text}; the scope keeps {self.kept}"


@dataclass(frozen=True)
class Made:
    """A classifier, and what it is worth on the held-out rows.

    Attributes:
        classifier: taught.
        graded: on held-out rows.
        rows: learnt from.
        kept_back: rows that the temperature and the scope's threshold rest on.
    """

    classifier: TextClassifier
    graded: Graded
    rows: int
    kept_back: int

    def to_json(self) -> dict[str, Any]:
        """Return what was measured as plain data."""
        return {"rows": self.rows, "kept_back": self.kept_back, **self.graded.to_json()}

    def __str__(self) -> str:
        return f"{self.graded}, {self.graded.accuracy.n:,} held-out rows; learnt from {self.rows:,}"


def teach(
    task: TextTask,
    kind: str,
    encoder: Encoder | None = None,
    *,
    scope: Way | None = None,
    recall: float = 0.95,
    outside: Sequence[str] = (),
    seed: int = 0,
    folder: str | Path | None = None,
    settings: dict[str, Any] | None = None,
) -> Made:
    """Teach a classifier on a task's rows.

    Args:
        task: rows, split.
        kind: one of `KINDS`.
        encoder: what all kinds but tfidf and bag stand on; it stays as it is.
        scope: how texts of no class are told; None for not at all.
        recall: the share of texts of the classes that the scope is to keep.
        outside: texts of no class, to measure the scope by; nothing learns from them.
        seed: of what is random.
        folder: where checkpoints lie, so that a killed training goes on; None keeps none.
        settings: of the training (`Fit`'s, and `pairs` of the contrastive kind), or of the bag (`BagStudent`'s), over
            the usual ones.

    Raises:
        ConfigError: no such kind, or it needs an encoder.
        DataError: too few rows kept back for the scope's threshold.
    """
    kept = np.sort(np.concatenate([task.tune, task.calibrate]))
    texts, labels = task.taken(task.fit)
    held, truth = task.taken(kept)
    student = student_of(kind, encoder, seed=seed, folder=folder, settings=settings).fit(texts, labels)
    if len(held) >= MIN_TUNE:
        index = {label: i for i, label in enumerate(student.classes_)}
        known = [i for i, label in enumerate(truth) if label in index]
        logits = np.log(student.predict_proba([held[i] for i in known]).clip(min=1e-30))
        student.temperature_ = fit_temperature(logits, np.array([index[truth[i]] for i in known]))
    classifier = student.classifier
    if scope is not None:
        classifier.fit_scope(texts, labels, held, scope, recall=recall)
    return Made(classifier, graded(classifier, task.test, task.test_labels, outside), len(texts), len(held))


def student_of(
    kind: str,
    encoder: Encoder | None = None,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    settings: dict[str, Any] | None = None,
) -> AnyStudent:
    """Return a student of a kind, that learns people's labels and keeps no rows back; see `teach`.

    Raises:
        ConfigError: no such kind, it needs an encoder, or it takes no settings.
    """
    how = dict(settings or {})
    if kind == "bag":
        return BagStudent(alpha=1.0, held_out=0.0, seed=seed, **how)
    if kind in ("contrastive", "tuned", "lora"):
        assert_encoder(kind, encoder)
        assert encoder is not None
        pairs = how.pop("pairs", None)
        usual = {"contrastive": PAIRS, "tuned": FIT, "lora": LORA}[kind]
        fit = replace(usual, **{"seed": seed, **how})
        general: dict[str, Any] = {"alpha": 1.0, "held_out": 0.0, "seed": seed, "folder": folder, "fit": fit}
        if kind == "contrastive":
            return ContrastiveStudent(encoder, pairs=pairs, **general)
        return EncoderStudent(encoder, head_rate=LORA_HEAD if kind == "lora" else 30.0, **general)
    if how:
        raise ConfigError(f"a classifier of the kind {kind} is a linear head: there is nothing to set in its training")
    return LinearStudent(features_of(kind, encoder), alpha=1.0, held_out=0.0, seed=seed)


def features_of(kind: str, encoder: Encoder | None) -> Features:
    """Return what a linear head of a kind stands on.

    Raises:
        ConfigError: no such kind, or it needs an encoder.
    """
    if kind == "tfidf":
        return TfidfFeatures()
    assert_encoder(kind, encoder)
    assert encoder is not None
    return StaticFeatures(encoder) if kind == "static" else EncoderFeatures(encoder)


def assert_encoder(kind: str, encoder: Encoder | None) -> None:
    """See that a kind has what it needs.

    Raises:
        ConfigError: no such kind, or no encoder for it.
    """
    if kind not in KINDS:
        raise ConfigError(f"a classifier is of the kind {', '.join(KINDS)}, not {kind!r}{did_you_mean(kind, KINDS)}")
    if encoder is None and kind not in WITHOUT:
        raise ConfigError(f"a classifier of the kind {kind} needs an encoder, such as all-minilm-l6-v2")


def graded(
    classifier: TextClassifier, texts: Sequence[str], labels: Sequence[str], outside: Sequence[str] = ()
) -> Graded:
    """Measure a classifier on texts with their labels, and its scope on texts of no class.

    Raises:
        DataError: no texts, or texts outside for a classifier that has no scope.
    """
    if not texts:
        raise DataError("no labelled rows to measure on")
    if outside and classifier.scope is None:
        raise DataError("rows outside are given, but the classifier does not know its scope: teach it with a scope")
    sure, scores = classifier.judged(texts)
    said = [classifier.classes_[i] for i in sure.argmax(axis=1)]
    index = {label: i for i, label in enumerate(classifier.classes_)}
    known = [i for i, label in enumerate(labels) if label in index]
    calibration = ece(sure[known], np.array([index[labels[i]] for i in known])) if known else float("nan")
    accuracy = wilson(sum(a == b for a, b in zip(said, labels, strict=True)), len(texts))
    found = Graded(accuracy, macro_f1(list(labels), said), calibration)
    if classifier.scope is None or scores is None:
        return found
    inside = classifier.scope.inside(scores)
    found = replace(found, kept=wilson(float(inside.sum()), len(inside)))
    if not outside:
        return found
    _, others = classifier.judged(outside)
    assert others is not None
    real = np.concatenate([np.ones(len(scores), np.bool_), np.zeros(len(others), np.bool_)])
    return replace(found, scope=scope_scores(np.concatenate([scores, others]), real, classifier.scope.threshold_))
