"""The linear student: its loss against scikit-learn and a numerical gradient, and what it is taught by whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish.distill.blackbox.students import LinearStudent, TeacherLabels
from pilotfish.distill.blackbox.students.base import chosen
from pilotfish.distill.blackbox.students.linear import fit_soft
from pilotfish.distill.blackbox.students.targets import Targets, parts_of, targets_of
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.classify import SoftmaxHead, TextClassifier, TfidfFeatures

pytest.importorskip("sklearn")

RANDOM = np.random.default_rng(5)
WORDS = {"fruit": ["apple", "pear", "plum", "fig", "grape"], "tool": ["saw", "drill", "nail", "bolt", "file"], "sea": ["wave", "tide", "reef", "gull", "salt"]}  # fmt: skip  # noqa: E501
CLASSES = sorted(WORDS)


def texts(count: int, seed: int) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(seed)
    labels = [CLASSES[i] for i in random.integers(0, 3, count)]
    noise = [word for words in WORDS.values() for word in words]
    return [" ".join([*random.choice(WORDS[label], 2), *random.choice(noise, 3)]) for label in labels], labels


def soft_of(labels: list[str], truth: float) -> TeacherLabels:
    rest = (1 - truth) / 2
    soft = np.array([[truth if name == label else rest for name in CLASSES] for label in labels])
    return TeacherLabels(tuple(CLASSES), soft)


def random_targets(count: int) -> tuple[NDArray[np.float64], Targets]:
    x = RANDOM.normal(size=(count, 6))
    teacher = TeacherLabels(("a", "b", "c"), RANDOM.dirichlet(np.ones(3), count))
    gold = [["a", "b", "c", None][i] for i in RANDOM.integers(0, 4, count)]
    teacher.probabilities[::5] = np.nan
    return x, targets_of(count, gold, teacher)


def test_at_temperature_1_it_is_scikit_learns_fit_of_weighted_copies() -> None:
    x, targets = random_targets(60)
    coef, intercept = fit_soft(x, targets, 0.3, 1.0, c=2.0)
    gold, soft = targets.shares(0.3)
    copies, labels, weights = [], [], []
    for row in range(60):
        for k, name in enumerate(targets.classes):
            weight = gold[row] * (targets.gold[row] == k) + soft[row] * targets.soft[row, k]
            copies.append(x[row])
            labels.append(name)
            weights.append(weight)
    head = SoftmaxHead(c=2.0).fit(np.array(copies), labels, np.array(weights))
    np.testing.assert_allclose(coef - coef.mean(0), head.coef_ - head.coef_.mean(0), atol=2e-3)
    np.testing.assert_allclose(intercept - intercept.mean(), head.intercept_ - head.intercept_.mean(), atol=2e-3)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_no_other_weights_have_a_smaller_loss(temperature: float) -> None:
    x, targets = random_targets(40)
    coef, intercept = fit_soft(x, targets, 0.4, temperature, c=1.5)

    def loss(coef: Any, intercept: Any) -> float:
        logits = x @ coef.T + intercept
        total = 0.0
        for row in range(40):
            if targets.gold[row] >= 0:
                total -= 0.4 * (logits[row] - np.logaddexp.reduce(logits[row]))[targets.gold[row]]
            if targets.taught[row]:
                z = logits[row] / temperature
                p = targets.soft[row] ** (1 / temperature)
                p /= p.sum()
                total += 0.6 * temperature**2 * float(p @ (np.log(p) - (z - np.logaddexp.reduce(z))))
        return 1.5 * total + 0.5 * float((coef**2).sum())

    least = loss(coef, intercept)
    for _ in range(40):
        away, up = RANDOM.normal(size=coef.shape) * 1e-2, RANDOM.normal(size=intercept.shape) * 1e-2
        assert loss(coef + away, intercept + up) > least
    # At the optimum the slope along any direction is nil.
    slope = (loss(coef + 1e-4 * away, intercept) - loss(coef - 1e-4 * away, intercept)) / 2e-4
    assert abs(slope) < 1e-3 * max(1.0, least)


def test_a_good_teacher_helps_and_a_bad_one_is_not_listened_to() -> None:
    few, few_y = texts(30, 1)
    more, more_y = texts(400, 2)
    test, test_y = texts(400, 3)
    gold = [*few_y, *[None] * len(more)]

    def accuracy(student: LinearStudent) -> float:
        return float(np.mean([a == b for a, b in zip(student.predict(test), test_y, strict=True)]))

    alone = LinearStudent(TfidfFeatures((1, 1)), alpha=1.0).fit(few, few_y)
    good = LinearStudent(TfidfFeatures((1, 1))).fit([*few, *more], gold, soft_of([*few_y, *more_y], 0.8))
    wrong = [CLASSES[(CLASSES.index(y) + 1) % 3] for y in [*few_y, *more_y]]
    bad = LinearStudent(TfidfFeatures((1, 1))).fit([*few, *more], gold, soft_of(wrong, 0.8))
    assert accuracy(good) > accuracy(alone) + 0.1
    assert accuracy(bad) > accuracy(alone) - 0.05
    assert good.report_.alpha < bad.report_.alpha == 1.0
    assert set(good.report_.tried) == {0.5, 0.9, 0.98, 1.0}


def test_of_alphas_that_are_about_as_good_the_one_that_trusts_people_most() -> None:
    random = np.random.default_rng(0)
    base = random.random(50)
    noise = random.normal(0, 1, 50)
    clear, unclear = base + 0.5 + 0.1 * noise, base + 0.01 + noise - noise.mean()
    assert chosen({0.5: base, 1.0: clear}) == 0.5
    assert chosen({0.5: base, 0.9: unclear, 1.0: clear}) == 0.9
    assert chosen({0.5: base, 0.9: base, 0.7: base}) == 0.9
    assert chosen({1.0: base, 0.5: unclear}) == 1.0


def test_it_is_calibrated_on_rows_that_taught_nothing() -> None:
    some, labels = texts(200, 4)
    some[50:100], labels[50:100] = some[:50], labels[:50]
    targets = targets_of(200, labels, soft_of(labels, 0.9))
    parts = parts_of(some, targets, 0.25, 3)
    assert not {some[i] for i in parts.learn} & {some[i] for i in parts.calibrate}
    assert len(parts.learn) + len(parts.calibrate) == 200

    class Watched(TfidfFeatures):
        def fit(self, texts: Any) -> Watched:
            self.seen = set(texts)
            super().fit(texts)
            return self

    features = Watched((1, 1))
    student = LinearStudent(features, held_out=0.25, seed=3, alpha=1.0, c=1000).fit(some, labels, soft_of(labels, 0.9))
    assert features.seen == {some[i] for i in parts.learn}
    assert student.report_.calibrated == len(parts.calibrate)
    assert student.temperature_ > 1.2  # so weak a penalty makes it too sure of itself


def test_saved_it_is_a_text_classifier(tmp_path: Path) -> None:
    some, labels = texts(90, 6)
    student = LinearStudent(TfidfFeatures((1, 1))).fit(some, labels, soft_of(labels, 0.7))
    student.save(tmp_path)
    expected = student.predict_proba(some)
    np.testing.assert_allclose(TextClassifier.load(tmp_path).predict_proba(some), expected, atol=1e-6)
    again = LinearStudent.load(tmp_path)
    np.testing.assert_allclose(again.predict_proba(some), expected, atol=1e-6)
    assert again.predict(some) == student.predict(some)
    assert again.report_ == student.report_
    assert again.predict([]) == []
    (tmp_path / "student.json").write_text("{")
    with pytest.raises(ModelError, match=r"student\.json"):
        LinearStudent.load(tmp_path)


def test_teachers_labels_alone_and_none_at_all() -> None:
    some, labels = texts(60, 7)
    hard = TeacherLabels.hard([*labels[:-1], None])
    student = LinearStudent(TfidfFeatures((1, 1))).fit(some, None, hard)
    assert (student.report_.gold, student.report_.taught, student.report_.calibrated) == (0, 59, 0)
    assert student.temperature_ == 1.0
    for gold, teacher, told in (
        (None, None, "at least two classes"),
        (["a"] * 60, None, "at least two classes"),
        (labels[:5], None, "as many labels"),
        ([None] * 60, TeacherLabels.hard([None] * 60, CLASSES), "no row has a label"),
    ):
        with pytest.raises(DataError, match=told):
            LinearStudent(TfidfFeatures()).fit(some, gold, teacher)
    with pytest.raises(DataError, match="nothing to learn from"):
        LinearStudent(TfidfFeatures(), alpha=1.0).fit(some, None, hard)
    with pytest.raises(ConfigError, match="shares"):
        LinearStudent(TfidfFeatures(), alpha=1.1).fit(some, labels)
    with pytest.raises(DataError, match="none of the"):
        TeacherLabels.hard(["x"], ["a", "b"])
