from __future__ import annotations

import dataclasses
import io
import time

import numpy as np
import pytest
from rich.console import Console

from pilotfish.compete.students import DEFAULT_C, Student, by_name, fit_head, fitted, majority, students, tune
from pilotfish.compete.task import TextTask
from pilotfish.compete.watch import Budget, Watch
from pilotfish.errors import ConfigError
from pilotfish.models.classify import SoftmaxHead, TfidfFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from tests.compete.help import made_task


@pytest.fixture(scope="module")
def task() -> TextTask:
    return made_task(300, free=20)


@pytest.fixture(scope="module")
def kinds(task: TextTask, encoder: Encoder) -> list[Student]:
    return students(task, encoder, Watch())


def test_an_encoder_gives_three_students_and_each_text_its_own_vector(
    task: TextTask, kinds: list[Student], encoder: Encoder
) -> None:
    assert [student.key for student in kinds] == ["tfidf", "encoder", "static"]
    dense = kinds[1]
    for texts, vectors in ((task.train, dense.train), (task.test, dense.test), (task.unlabelled, dense.unlabelled)):
        np.testing.assert_allclose(vectors, encoder.encode(texts), atol=1e-5)


def test_a_language_model_gives_no_static_student(task: TextTask, tiny_lm: LocalModel) -> None:
    small = dataclasses.replace(task, unlabelled=[])
    found = students(small, tiny_lm, Watch())
    assert [student.key for student in found] == ["tfidf", "encoder"]
    assert found[1].train.shape == (len(task.train), 32)
    tune(small, found[1])
    candidate, classifier = fitted(small, found[1], patience=0.1)
    assert len(candidate.answers) == len(task.test)
    assert set(classifier.classes_) == set(task.labels)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_tuning_looks_at_nothing_but_the_fit_and_tuning_rows(task: TextTask, kinds: list[Student], which: int) -> None:
    """Labels of the calibration and test rows could be anything: nothing that is tuned may move."""
    scrambled = list(task.train_labels)
    for i in task.calibrate:
        scrambled[i] = task.labels[(task.labels.index(scrambled[i]) + 1) % len(task.labels)]
    other = dataclasses.replace(task, train_labels=scrambled, test_labels=task.test_labels[::-1])
    results = []
    for one in (task, other):
        student = dataclasses.replace(kinds[which])
        tune(one, student)
        results.append((student.c, student.temperature, student.tuned))
    assert results[0] == results[1]


def test_tfidf_is_tuned_without_the_words_of_rows_kept_back(task: TextTask) -> None:
    student = Student("tfidf", "t", TfidfFeatures())
    where = task.fit[:50]
    x, held = student.vectors(task.train, where, task.test)
    own = TfidfFeatures().fit([task.train[i] for i in where])
    assert x.shape[1] == held.shape[1] == len(own.vectorizer_.vocabulary_)


def test_without_tuning_rows_nothing_is_tuned(task: TextTask, kinds: list[Student]) -> None:
    for student in kinds:
        none = dataclasses.replace(task, tune=np.array([], dtype=np.int64))
        copy = dataclasses.replace(student)
        tune(none, copy)
        assert (copy.c, copy.temperature, copy.tuned) == (DEFAULT_C, 1.0, 0.0)


def test_few_tuning_rows_set_no_temperature(task: TextTask, kinds: list[Student]) -> None:
    few = dataclasses.replace(task, tune=task.tune[:5])
    copy = dataclasses.replace(kinds[1])
    tune(few, copy)
    assert copy.temperature == 1.0


def test_the_fitted_student_is_taught_by_every_training_row(task: TextTask, kinds: list[Student]) -> None:
    for student in kinds:
        tune(task, student)
        candidate, classifier = fitted(task, student, patience=0.1)
        by_hand = SoftmaxHead(student.c).fit(student.train, task.train_labels)
        np.testing.assert_allclose(classifier.head.coef_, by_hand.coef_, atol=1e-3)
        assert candidate.answers == classifier.predict(task.test)
        assert candidate.probabilities is not None
        np.testing.assert_allclose(candidate.probabilities, classifier.predict_proba(task.test), atol=1e-5)
        assert candidate.accuracy.value > 0.9
        assert candidate.seconds and candidate.p50 and candidate.p95 and candidate.weights
        assert candidate.p50 <= candidate.p95


def test_the_encoders_weights_are_counted_and_the_static_student_has_none_of_them(
    task: TextTask, kinds: list[Student], encoder: Encoder
) -> None:
    size = {student.key: fitted(task, student, patience=0.05)[0].weights for student in kinds}
    head = 4 * len(task.labels) * encoder.dimension
    assert size["encoder"] == 4 * encoder.parameters + head
    assert size["static"] < size["encoder"]


def test_the_majority_is_of_the_training_rows(task: TextTask) -> None:
    skewed = dataclasses.replace(task, train_labels=["card"] * 200 + task.train_labels[200:])
    one = majority(skewed)
    assert set(one.answers) == {"card"}
    assert one.accuracy.value == pytest.approx(task.test_labels.count("card") / len(task.test))


def test_names_of_labels_place_texts_without_any_label(task: TextTask, kinds: list[Student]) -> None:
    named = dataclasses.replace(
        task, names={"card": "card arrived where", "refund": "refund failed want", "cat": "cat sat mat"}
    )
    right = by_name(named, kinds[1])
    assert right.shape == (len(task.test),)
    assert right.mean() > 0.6
    crossed = dataclasses.replace(
        task, names={"cat": "card arrived where", "card": "refund failed want", "refund": "cat sat mat"}
    )
    assert by_name(crossed, kinds[1]).mean() < 0.25


def test_heads_are_fitted_with_their_weights() -> None:
    x = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    light = fit_head(10.0, x, ["a", "b", "b"], np.array([1.0, 0.01, 1.0]))
    heavy = fit_head(10.0, x, ["a", "b", "b"], np.array([0.01, 1.0, 1.0]))
    assert light.predict(x[:1]) == ["a"]
    assert heavy.predict(x[:1]) == ["b"]


def test_time_that_does_not_do_for_reading_is_said_at_once(task: TextTask, encoder: Encoder) -> None:
    long = dataclasses.replace(task, unlabelled=task.train * 400)
    started = time.perf_counter()
    with pytest.raises(ConfigError, match=r"--max-seconds 2 is too short: reading the 90,"):
        students(long, encoder, Watch(), Budget(max_seconds=2.0))
    assert time.perf_counter() - started < 2.0


def test_progress_is_shown_while_texts_are_read(task: TextTask, encoder: Encoder) -> None:
    shown = io.StringIO()
    students(task, encoder, Watch(Console(file=shown, width=120)))
    assert f"({len(task.train) + len(task.test) + 20:,} rows)" in shown.getvalue()
