"""The contrastive student and the bag: what they learn of people and a teacher, and that they are saved whole."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pilotfish.distill.blackbox.students import (
    BagStudent,
    ContrastiveStudent,
    LabelStudent,
    LinearStudent,
    TeacherLabels,
)
from pilotfish.errors import ModelError
from pilotfish.models.classify import EncoderFeatures, TextClassifier, TfidfFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.train.contrast import FIT

pytest.importorskip("sklearn")

WORDS = {"refund": ["refund", "money", "failed"], "card": ["card", "arrived", "yet"], "song": ["bird", "sang", "sea"]}
CLASSES = sorted(WORDS)
FAST = replace(FIT, rate=1e-3, batch_tokens=256)


def texts(count: int, seed: int) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(seed)
    labels = [CLASSES[i] for i in random.integers(0, 3, count)]
    other = ["the", "cat", "sat", "on", "dog", "it", "is", "my"]
    return [
        " ".join(random.permutation([*random.choice(WORDS[y], 2), *random.choice(other, 3)])) for y in labels
    ], labels


def right(student: LabelStudent, given: list[str], labels: list[str]) -> float:
    return float(np.mean([a == b for a, b in zip(student.predict(given), labels, strict=True)]))


def test_few_labels_do_for_a_contrastive_student(tiny_encoder: Encoder, tmp_path: Path) -> None:
    few, y = texts(24, 1)
    test, wanted = texts(200, 2)
    plain = LinearStudent(EncoderFeatures(tiny_encoder), alpha=1.0, held_out=0.0).fit(few, y)
    student = ContrastiveStudent(tiny_encoder, fit=FAST, pairs=150, held_out=0.0).fit(few, y)
    assert right(student, test, wanted) > right(plain, test, wanted) + 0.02
    student.save(tmp_path / "a")
    expected = student.predict_proba(test[:20])
    shutil.move(tmp_path / "a", tmp_path / "b")
    np.testing.assert_allclose(TextClassifier.load(tmp_path / "b").predict_proba(test[:20]), expected, atol=1e-5)
    moved = ContrastiveStudent.load(tmp_path / "b")
    np.testing.assert_allclose(moved.predict_proba(test[:20]), expected, atol=1e-5)
    assert moved.report_ == student.report_


def test_a_teachers_labels_make_pairs_where_people_gave_none(tiny_encoder: Encoder) -> None:
    few, y = texts(6, 1)
    more, more_y = texts(60, 3)
    test, wanted = texts(150, 2)
    soft = np.array([[0.8 if name == label else 0.1 for name in CLASSES] for label in [*y, *more_y]])
    said = TeacherLabels(tuple(CLASSES), soft)
    student = ContrastiveStudent(tiny_encoder, fit=FAST, pairs=150, held_out=0.0, alpha=0.5)
    both = student.fit([*few, *more], [*y, *[None] * 60], said)
    alone = ContrastiveStudent(tiny_encoder, fit=FAST, pairs=150, held_out=0.0).fit(few, y)
    assert right(both, test, wanted) > right(alone, test, wanted)


def test_a_bag_learns_is_calibrated_and_saved(tmp_path: Path) -> None:
    some, y = texts(200, 1)
    test, wanted = texts(150, 2)
    student = BagStudent(dimension=16, bits=16, epochs=20).fit(some, y)
    assert right(student, test, wanted) > 0.95
    assert student.report_.calibrated == 40 and student.report_.accuracy is not None
    student.save(tmp_path)
    for again in (BagStudent.load(tmp_path), TextClassifier.load(tmp_path)):
        np.testing.assert_allclose(again.predict_proba(test), student.predict_proba(test), atol=1e-6)
    TextClassifier(TfidfFeatures()).fit(some, y).save(tmp_path / "other")
    with pytest.raises(ModelError, match="on tfidf features, not a bag"):
        BagStudent.load(tmp_path / "other")


def test_a_bag_learns_shares_of_a_teacher() -> None:
    some, y = texts(150, 1)
    soft = np.array([[0.7 if name == label else 0.15 for name in CLASSES] for label in y])
    how = {"dimension": 16, "bits": 16, "epochs": 60, "held_out": 0.0}
    teacher = TeacherLabels(tuple(CLASSES), soft)
    taught = BagStudent(alpha=0.0, **how).fit(some, None, teacher)  # type: ignore[arg-type]
    alone = BagStudent(alpha=1.0, **how).fit(some, y)  # type: ignore[arg-type]
    sure, surer = taught.predict_proba(some).max(axis=1), alone.predict_proba(some).max(axis=1)
    assert abs(sure.mean() - 0.7) < 0.05 < 0.2 < surer.mean() - 0.7  # as unsure as its teacher


def test_folds_choose_alpha_for_a_bag_too() -> None:
    some, y = texts(60, 1)
    wrong = np.array([[0.9 if name != label else 0.05 for name in CLASSES] for label in y])
    wrong /= wrong.sum(axis=1, keepdims=True)
    teacher = TeacherLabels(tuple(CLASSES), wrong)
    student = BagStudent(dimension=8, bits=14, epochs=15, alpha=[0.1, 1.0], held_out=0.0).fit(some, y, teacher)
    assert student.report_.alpha == 1.0 and set(student.report_.tried) == {0.1, 1.0}
