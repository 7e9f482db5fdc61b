from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.candidate import Candidate
from pilotfish.compete.large import Judged
from pilotfish.compete.mix import cascade, choose_threshold, threshold_for
from pilotfish.compete.plan import Sizes
from pilotfish.compete.students import Student, fitted, students, tune
from pilotfish.compete.task import TextTask
from pilotfish.compete.watch import Watch
from pilotfish.model import Trace
from pilotfish.models.classify import Labeller, Labels
from pilotfish.models.encoder import Encoder
from tests.compete.help import made_task
from tests.fakes import ScriptedModel

HITS = st.sampled_from([0.0, 1.0])
# Few values, so that many are equal, and neighbouring floats, between which there is no middle.
SURE = st.sampled_from([0.1, 0.25, np.nextafter(0.25, 1), 0.5, 0.9, np.nextafter(0.9, 0), 1.0]) | st.floats(0.01, 1)


@given(st.lists(st.tuples(SURE, HITS, HITS), min_size=1, max_size=40))
def test_no_threshold_is_better_and_none_as_good_defers_less(rows: list[tuple[float, float, float]]) -> None:
    sure, small, large = (np.array(column) for column in zip(*rows, strict=True))
    found = choose_threshold(sure, small, large)

    def tried(above: float) -> tuple[float, int]:
        defer = sure < above
        return float(np.where(defer, large, small).sum()), -int(defer.sum())

    best = max(tried(above) for above in [0.0, *np.unique(sure).tolist(), math.inf])
    hits, kept = tried(found.above)
    assert (hits, kept) == best
    assert found.accuracy == pytest.approx(hits / len(rows))
    assert found.deferred == pytest.approx(-kept / len(rows))
    assert found.rows == len(rows)


def test_no_rows_to_choose_by_defer_nothing() -> None:
    none = np.array([])
    assert choose_threshold(none, none, none).above == 0.0


def judged(task: TextTask, best: Candidate, calibrate: list[str | None], taught: list[str | None]) -> Judged:
    labeller = Labeller(ScriptedModel(), task.labels)

    def labels(said: list[str | None]) -> Labels:
        return Labels(said, None, [Trace() for _ in said], [False] * len(said))

    sizes = Sizes(len(best.rows), len(calibrate), len(taught))
    return Judged(best, None, best, labeller, labels(calibrate), labels(taught), sizes)


@pytest.fixture(scope="module")
def task() -> TextTask:
    # 60 rows to choose a threshold by, some 18 of which cannot be learnt; of 30 rows there are too few.
    return made_task(800, hard=0.3, free=60)


@pytest.fixture(scope="module")
def student(task: TextTask, encoder: Encoder) -> Student:
    one = students(task, encoder, Watch())[1]
    tune(task, one)
    return one


@pytest.fixture(scope="module")
def tfidf(task: TextTask, encoder: Encoder) -> Student:
    one = students(task, encoder, Watch())[0]
    tune(task, one)
    return one


def perfect(task: TextTask) -> Candidate:
    rows = np.arange(1, len(task.test), 2)
    truth = [task.test_labels[i] for i in rows]
    return Candidate("large-zero", "big", "large", rows, truth, truth, seconds=0.5, p50=0.5, p95=0.9, dollars=0.01)


def test_the_threshold_is_chosen_by_a_head_that_has_not_seen_the_rows_nor_the_test(
    task: TextTask, student: Student
) -> None:
    one = judged(task, perfect(task), [task.train_labels[i] for i in task.calibrate], [])
    found = threshold_for(task, student, one)
    assert 0.1 < found.deferred < 0.9
    assert found.rows == len(task.calibrate)
    swapped = dataclasses.replace(task, test_labels=task.test_labels[::-1])
    assert threshold_for(swapped, student, one) == found
    # A head fitted on these very rows would be right and sure on nearly all of them, and defer fewer.
    seen = dataclasses.replace(task, calibrate=task.fit[: len(task.calibrate)])
    one = judged(seen, perfect(task), [task.train_labels[i] for i in seen.calibrate], [])
    assert threshold_for(seen, student, one).rows == len(task.calibrate)


def test_tfidf_for_the_threshold_learns_no_word_of_the_rows_kept_back(task: TextTask, tfidf: Student) -> None:
    fitted(task, tfidf, patience=0.05)
    one = judged(task, perfect(task), [task.train_labels[i] for i in task.calibrate], [])
    assert 0.0 < threshold_for(task, tfidf, one).deferred < 0.7


def test_a_large_model_that_names_no_label_is_not_deferred_to(task: TextTask, student: Student) -> None:
    one = judged(task, perfect(task), [None] * len(task.calibrate), [])
    assert threshold_for(task, student, one).above == 0.0


def test_the_cascade_answers_row_by_row_and_costs_what_both_cost(task: TextTask, student: Student) -> None:
    small, _ = fitted(task, student, patience=0.05)
    large = perfect(task)
    threshold = choose_threshold(np.array([0.2, 0.6]), np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    assert threshold.above == pytest.approx(0.4)
    both = cascade(task, small, judged(task, large, [], []), threshold)
    assert small.probabilities is not None
    sure = small.probabilities.max(axis=1)
    for row, answer, theirs in zip(both.rows, both.answers, large.answers, strict=True):
        assert answer == (small.answers[row] if sure[row] >= threshold.above else theirs)
    share = float((sure[large.rows] < threshold.above).mean())
    assert both.details["deferred"] == pytest.approx(share)
    assert both.dollars == pytest.approx(share * 0.01)
    assert both.seconds == pytest.approx((small.seconds or 0) + share * 0.5)
    assert both.weights == small.weights


def test_the_ends_of_the_threshold(task: TextTask, student: Student) -> None:
    small, _ = fitted(task, student, patience=0.05)
    large = perfect(task)
    never = cascade(task, small, judged(task, large, [], []), choose_threshold(*(np.array([]),) * 3))
    assert list(never.answers) == [small.answers[row] for row in large.rows]
    always = choose_threshold(np.array([0.5]), np.array([0.0]), np.array([1.0]))
    both = cascade(task, small, judged(task, large, [], []), always)
    assert list(both.answers) == list(large.answers)
    assert both.details["threshold"] is None
    unknown = dataclasses.replace(large, dollars=None, seconds=None)
    assert cascade(task, small, judged(task, unknown, [], []), always).dollars is None
    assert cascade(task, small, judged(task, unknown, [], []), always).seconds is None
