from __future__ import annotations

import dataclasses
import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.compete.curve import Curve, crossover, learning_curves, mean_interval, mean_labels
from pilotfish.compete.students import Student, students
from pilotfish.compete.task import TextTask
from pilotfish.compete.watch import Budget, Watch
from pilotfish.errors import DataError
from pilotfish.models.encoder import Encoder
from tests.compete.help import made_task

EVERY = np.arange(200)


def shares(*values: float) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Rows that are right in so many of 200 cases, nested."""
    return [(round(200 * value) > EVERY).astype(np.float64) for value in values]


def curve(counts: list[float], *values: float) -> Curve:
    return Curve("k", "K", counts, shares(*values), [1] * len(counts))


@given(st.floats(0.05, 0.45), st.floats(0.5, 0.95), st.floats(0, 1), st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_the_crossing_is_on_the_line_between_two_points_in_log_labels(
    low: float, high: float, share: float, n: int
) -> None:
    first, second = shares(low, high)
    target = round(200 * (low + share * (high - low)))
    if not round(200 * low) <= target < round(200 * high):
        return
    large = (target > EVERY).astype(np.float64)
    found = crossover(Curve("k", "K", [float(n), 8.0 * n], [first, second], [1, 1]), large, EVERY, resamples=100)
    part = (target - first.sum()) / (second.sum() - first.sum())
    expected = (1 + n) * ((1 + 8 * n) / (1 + n)) ** part - 1
    assert found.labels == pytest.approx(expected, rel=1e-9)
    assert not found.from_the_start or part == 0
    assert found.first == n


def test_one_closed_form_by_hand() -> None:
    # log2(1 + n) from 0 to 8; half the way up is 4: n = 15.
    found = crossover(curve([0, 255], 0.4, 0.8), shares(0.6)[0], EVERY)
    assert found.labels == pytest.approx(15)
    assert 0 <= found.low <= 15 <= found.high


def test_equal_is_not_overtaking() -> None:
    never = crossover(curve([0, 8], 0.4, 0.6), shares(0.6)[0], EVERY)
    assert math.isinf(never.labels)
    assert "more than there are" in str(never)


def test_a_small_model_that_leads_from_the_start() -> None:
    found = crossover(curve([8, 32], 0.9, 0.95), shares(0.3)[0], EVERY)
    assert found.from_the_start and found.labels == found.low == found.high == 8
    assert found.reached == 1


def test_the_interval_is_infinite_where_some_resamples_never_cross_and_json_has_no_infinity() -> None:
    found = crossover(curve([0, 8], 0.4, 0.61), shares(0.6)[0], EVERY)
    assert found.labels == pytest.approx(9 ** (0.2 / 0.21) - 1)
    assert math.isinf(found.high)
    assert 0 < found.reached < 1
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["high"] is None and data["labels"] == found.labels


def test_both_models_are_scored_on_the_rows_that_the_large_one_answered() -> None:
    rows = np.arange(0, 200, 2)
    large = np.ones(100)
    large[::2] = 0
    points = [np.zeros(200), np.zeros(200)]
    points[1][1::2] = 1  # right only where the large one was not asked
    assert math.isinf(crossover(Curve("k", "K", [0, 8], points, [1, 1]), large, rows, resamples=100).labels)
    points[1][::2] = 1
    found = crossover(Curve("k", "K", [0, 8], points, [1, 1]), large, rows, resamples=100)
    assert found.labels == pytest.approx(2)
    assert found.reached == 1


def test_the_same_seed_gives_the_same_interval() -> None:
    a, b, c = (crossover(curve([0, 32], 0.4, 0.7), shares(0.6)[0], EVERY, seed=seed) for seed in (1, 1, 2))
    assert a == b
    assert (a.low, a.high) != (c.low, c.high)


def test_a_curve_without_points() -> None:
    with pytest.raises(DataError, match="without points"):
        crossover(Curve("k", "K"), np.ones(3), np.arange(3))


def test_means_and_their_intervals() -> None:
    assert mean_interval(np.ones(20)).low < 1 == mean_interval(np.ones(20)).high
    third = mean_interval(np.full(9, 1 / 3))
    assert third.low < third.value < third.high
    mixed = mean_interval(shares(0.5)[0])
    assert mixed.value == 0.5 and 0.4 < mixed.low < 0.5 < mixed.high < 0.6


@pytest.fixture(scope="module")
def task() -> TextTask:
    return made_task(150, classes=3)


@pytest.fixture(scope="module")
def kinds(task: TextTask, encoder: Encoder) -> list[Student]:
    return students(task, encoder, Watch())


def test_the_counts_go_as_far_as_the_data(task: TextTask, kinds: list[Student]) -> None:
    found = learning_curves(task, kinds, Watch(), Budget(), counts=(0, 4, 16, 128, 512), seeds=2)
    by_key = {one.key: one for one in found}
    assert by_key["encoder"].counts == by_key["static"].counts == [0, 4, 16]
    assert by_key["tfidf"].counts == [4, 16]  # words alone know nothing of the labels' names
    assert by_key["encoder"].seeds == [1, 2, 2]
    assert by_key["tfidf"].correct[0].shape == (len(task.test),)
    assert set(np.unique(by_key["tfidf"].correct[0])) <= {0.0, 0.5, 1.0}
    points = by_key["encoder"].points()
    assert points[-1][1].value > points[0][1].value
    json.dumps(by_key["encoder"].to_json(), allow_nan=False)


def test_no_point_learns_from_test_labels(task: TextTask, kinds: list[Student]) -> None:
    blind = dataclasses.replace(task, test_labels=["nobody knows"] * len(task.test))
    for one in learning_curves(blind, kinds, Watch(), Budget(), counts=(8,), seeds=1):
        assert one.correct[0].sum() == 0


def test_a_rare_class_gives_what_it_has(task: TextTask, kinds: list[Student]) -> None:
    rare = dataclasses.replace(
        task,
        train_labels=["odd" if i == 0 else label for i, label in enumerate(task.train_labels)],
        labels=sorted({*task.labels, "odd"}),
    )
    found = learning_curves(rare, kinds[:1], Watch(), Budget(), counts=(8,), seeds=1)
    assert found[0].counts == [8]


def test_half_of_the_time_is_the_curves_at_most(task: TextTask, kinds: list[Student]) -> None:
    late = Budget(max_seconds=10, started=time.perf_counter() - 6)
    found = learning_curves(task, kinds, Watch(), late, counts=(0, 8, 16), seeds=1)
    assert [one.counts for one in found] == [[], [0], [0]]


def test_labels_a_class_are_shown_round(task: TextTask) -> None:
    assert mean_labels(task) == round(len(task.train) / 3)
    few = dataclasses.replace(task, train=task.train[:10])
    assert mean_labels(few) == 3.3
