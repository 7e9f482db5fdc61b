"""The tree student: its walk beside scikit-learn's own, soft labels as weighted copies, and tables with holes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.distill.blackbox.students import TeacherLabels
from pilotfish.distill.blackbox.students.targets import targets_of
from pilotfish.distill.blackbox.students.trees import TreeStudent
from pilotfish.errors import DataError, ModelError
from pilotfish.models._table import Table
from pilotfish.models.classify.head import softmax

sklearn = pytest.importorskip("sklearn.ensemble")

KINDS = ["car", "tram", "bike"]


def rows(count: int, seed: int) -> tuple[list[dict[str, Any]], list[str]]:
    random = np.random.default_rng(seed)
    made, labels = [], []
    for _ in range(count):
        kind, age, height = KINDS[random.integers(3)], random.integers(10, 80), random.normal(170, 10)
        holes = random.random(2) < 0.1
        made.append(
            {
                "kind": "" if holes[0] else kind,
                "age": None if holes[1] else str(age),  # text, as a CSV file gives it
                "height": height,
            }
        )
        labels.append("old" if age > 50 else "fast" if kind == "car" or height > 185 else "slow")
    return made, labels


@pytest.mark.parametrize("classes", [2, 3])
def test_the_saved_trees_walk_as_scikit_learns_do(tmp_path: Path, classes: int) -> None:
    random = np.random.default_rng(classes)
    x = random.normal(size=(300, 4))
    x[random.random(x.shape) < 0.15] = np.nan
    teacher = TeacherLabels(tuple("abc"[:classes]), random.dirichlet(np.ones(classes), 300))
    named = [dict(zip("wxyz", values.tolist(), strict=True)) for values in x]
    student = TreeStudent(rounds=20, alpha=0.0).fit(named, None, teacher)
    copies, labels = np.nonzero(teacher.probabilities > 1e-3)
    weights = teacher.probabilities[copies, labels]
    theirs = sklearn.HistGradientBoostingClassifier(
        max_iter=20, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=5, l2_regularization=1.0,
        early_stopping=False, random_state=0,
    ).fit(x[copies], labels, sample_weight=weights * (len(weights) / weights.sum()))  # fmt: skip
    np.testing.assert_allclose(student.predict_proba(named), theirs.predict_proba(x), atol=1e-9)
    student.save(tmp_path)
    again = TreeStudent.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(named), student.predict_proba(named))
    assert again.report_ == student.report_


def test_it_learns_what_a_teacher_says_of_rows_that_nobody_labelled() -> None:
    few, few_y = rows(20, 1)
    more, more_y = rows(600, 2)
    test, test_y = rows(400, 3)
    classes = ("fast", "old", "slow")
    soft = np.array([[0.7 if name == label else 0.15 for name in classes] for label in [*few_y, *more_y]])

    def accuracy(student: TreeStudent) -> float:
        return float(np.mean([a == b for a, b in zip(student.predict(test), test_y, strict=True)]))

    alone = TreeStudent().fit(few, few_y)
    taught = TreeStudent().fit([*few, *more], [*few_y, *[None] * 600], TeacherLabels(classes, soft))
    assert accuracy(taught) > max(0.9, accuracy(alone) + 0.1)
    assert (taught.report_.gold, taught.report_.calibrated, taught.report_.taught) == (16, 4, 616)


def test_soft_labels_come_back_as_probabilities() -> None:
    named = [{"x": i % 2} for i in range(400)]
    soft = np.array([[0.7, 0.3] if i % 2 else [0.2, 0.8] for i in range(400)])
    student = TreeStudent(rounds=200, rate=0.2).fit(named, None, TeacherLabels(("no", "yes"), soft))
    np.testing.assert_allclose(student.predict_proba(named[:2]), [[0.2, 0.8], [0.7, 0.3]], atol=0.01)


def test_a_class_that_only_the_names_have_is_never_likely() -> None:
    named, labels = rows(100, 4)
    teacher = TeacherLabels.hard(labels, ["fast", "old", "slow", "unheard"])
    probabilities = TreeStudent().fit(named, None, teacher).predict_proba(named)
    assert probabilities[:, 3].max() < 1e-9
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    one = TreeStudent(alpha=0).fit(named, None, TeacherLabels.hard(["fast"] * 100, ["fast", "old"]))
    assert set(one.predict(named)) == {"fast"}


def test_tables() -> None:
    given: list[dict[str, Any]] = [{"a": "1.5", "b": "x"}, {"a": 2, "b": "y"}, {"a": "", "b": "y"}, {"a": None, "b": 3}]
    table = Table.of(given, ["a", "b"])
    assert table.codes == {"b": {"y": 0, "3": 1, "x": 2}}
    np.testing.assert_array_equal(table.matrix(given), [[1.5, 2], [2, 0], [np.nan, 0], [np.nan, 1]])
    np.testing.assert_array_equal(Table.from_json(table.to_json()).matrix([{"a": "?", "b": "new"}]), [[np.nan, np.nan]])
    with pytest.raises(DataError, match="no column 'b'"):
        table.matrix([{"a": 1}])


def test_damaged_files(tmp_path: Path) -> None:
    named, labels = rows(80, 5)
    student = TreeStudent(rounds=3).fit(named, labels)
    with pytest.raises(ModelError, match="not a saved tree"):
        TreeStudent.load(tmp_path)
    student.nodes_[0, 2] = 10_000
    student.save(tmp_path)
    with pytest.raises(ModelError, match="damaged"):
        TreeStudent.load(tmp_path)


def test_softened_targets() -> None:
    soft = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    targets = targets_of(2, None, TeacherLabels(("a", "b", "c"), soft))
    np.testing.assert_allclose(targets.softened(2.0)[0], np.sqrt(soft[0]) / np.sqrt(soft[0]).sum())
    np.testing.assert_allclose(targets.softened(1e-3), [[1, 0, 0], [1, 0, 0]], atol=1e-12)
    logits = np.log(soft[:1])
    np.testing.assert_allclose(targets.softened(3.0)[:1], softmax(logits / 3))
