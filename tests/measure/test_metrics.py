from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.metrics import (
    accuracy,
    brier,
    calibration,
    class_scores,
    confusion,
    correct,
    ece,
    macro_f1,
    nll,
    top_label,
)

labels = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcde")), min_size=1, max_size=60)


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(labels)
def test_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, predicted = [t for t, _ in pairs], [p for _, p in pairs]
    assert accuracy(truth, predicted) == pytest.approx(metrics.accuracy_score(truth, predicted))
    expected = metrics.f1_score(truth, predicted, average="macro", zero_division=0)
    assert macro_f1(truth, predicted) == pytest.approx(expected)
    table = confusion(truth, predicted)
    assert table.counts.tolist() == metrics.confusion_matrix(truth, predicted).tolist()
    parts = metrics.precision_recall_fscore_support(truth, predicted, zero_division=0)
    ours = [(s.precision, s.recall, s.f1, s.support) for s in class_scores(truth, predicted)]
    np.testing.assert_allclose(ours, np.stack(parts, axis=1))


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 40))
def test_brier_and_nll_agree_with_scikit_learn(seed: int, classes: int, rows: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), rows)
    truth = rng.integers(0, classes, rows)
    names = list(range(classes))
    assert nll(probabilities, truth) == pytest.approx(metrics.log_loss(truth, probabilities, labels=names))
    assert brier(probabilities, truth) == pytest.approx(
        float(((np.eye(classes)[truth] - probabilities) ** 2).sum(1).mean())
    )


def test_absent_classes_follow_the_stated_rule() -> None:
    # b is predicted but never true: it counts as 0. A class in neither is left out.
    assert macro_f1(["a", "a"], ["a", "b"]) == pytest.approx((2 / 3 + 0) / 2)
    assert macro_f1(["a", "a"], ["a", "a"]) == 1.0


def test_no_answer_is_wrong_but_no_class() -> None:
    truth, predicted = ["a", "b", "b", "b"], ["a", None, "b", "b"]
    assert correct(truth, predicted).tolist() == [1, 0, 1, 1]
    table = confusion(truth, predicted)
    assert table.labels == ("a", "b")
    assert table.unanswered.tolist() == [0, 1]
    assert table.accuracy == 0.75
    b = class_scores(truth, predicted)[1]
    assert (b.precision, b.recall, b.support) == (1.0, 2 / 3, 3)


def test_most_confused_leaves_the_diagonal_and_zeros_out() -> None:
    table = confusion(list("aaabbbcc"), list("abbbbacc"))
    assert table.most_confused() == [("a", "b", 2), ("b", "a", 1)]
    assert table.most_confused(1) == [("a", "b", 2)]
    assert confusion(list("ab"), list("ab"), labels=list("ba")).labels == ("b", "a")


def test_labels_of_mixed_types_have_an_order() -> None:
    assert confusion([1, "a", 2], [1, "a", 1]).labels == (1, 2, "a")


def test_calibration_in_closed_form() -> None:
    # Two bins: 0.9 sure and right 3 of 4; 0.6 sure and right 1 of 2.
    table = calibration([0.9] * 4 + [0.6] * 2, [1, 1, 1, 0, 1, 0], bins=10)
    assert [each.rows for each in table.bins] == [2, 4]
    assert table.ece == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)
    assert table.mce == pytest.approx(0.15)
    assert table.overconfidence == pytest.approx(0.8 - 4 / 6)


def test_bins_are_closed_on_the_right() -> None:
    table = calibration([0.0, 0.1, 0.1000001, 1.0], [1, 1, 1, 1], bins=10)
    assert [(each.low, each.rows) for each in table.bins] == [(0.0, 2), (0.1, 1), (0.9, 1)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.integers(1, 20))
def test_every_row_falls_into_one_bin_and_equal_values_together(values: list[float], bins: int) -> None:
    for binning in ("equal-width", "equal-mass"):
        table = calibration(values, [1.0] * len(values), bins, binning)
        assert table.rows == len(values)
        assert len(table.bins) <= bins
        assert all(b.low - 1e-12 <= b.confidence <= b.high + 1e-12 for b in table.bins)
        # With every row right, the error is the mean doubt whatever the bins are.
        assert table.ece == pytest.approx(float(np.mean(1 - np.array(values))), abs=1e-9)


def test_equal_mass_bins_hold_equal_rows() -> None:
    table = calibration(np.linspace(0.01, 0.99, 100), np.ones(100), 10, "equal-mass")
    assert [each.rows for each in table.bins] == [10] * 10


def test_a_calibrated_model_has_a_small_ece_and_an_overconfident_one_does_not() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([rng.choice(3, p=p) for p in probabilities])
    assert ece(probabilities, truth) < 0.015
    sharper = probabilities**3 / (probabilities**3).sum(1, keepdims=True)
    assert ece(sharper, truth) > 0.08
    assert nll(sharper, truth) > nll(probabilities, truth)


def test_top_label_and_perfect_scores() -> None:
    sure, right = top_label([[0.2, 0.8], [0.7, 0.3]], [1, 1])
    assert sure.tolist() == [0.8, 0.7]
    assert right.tolist() == [1, 0]
    assert brier([[1, 0]], [0]) == 0 and brier([[1, 0]], [1]) == 2 and nll([[1, 0]], [0]) == 0
    assert nll([[1, 0]], [1]) == pytest.approx(36.04, abs=0.01)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: accuracy([], []), "no rows"),
        (lambda: accuracy(["a"], []), "1 true labels but 0"),
        (lambda: macro_f1([None], ["a"]), "true label is None"),
        (lambda: confusion(["a"], ["b"], labels=["a"]), "row 0: label 'b'"),
        (lambda: brier([[2.0, -1.0]], [0]), "softmax"),
        (lambda: brier([[0.5, 0.5]], [2]), "class indices from 0 to 1"),
        (lambda: brier([[0.5, 0.5]], [0, 1]), "probabilities"),
        (lambda: calibration([2.0], [1]), "logits"),
        (lambda: calibration([], []), "non-empty"),
    ],
)
def test_bad_input_is_one_clear_error(call: object, says: str) -> None:
    assert callable(call)
    with pytest.raises(DataError, match=says):
        call()
