"""The distilled student: what it may learn, how much it listens, what its teacher took, and what it is held against."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pilotfish.compete.candidate import Candidate
from pilotfish.compete.distilled import ALPHAS, FEW_ALPHAS, Distilled, _alphas, distil
from pilotfish.compete.large import Judged
from pilotfish.compete.learner import learned
from pilotfish.compete.lesson import Lesson, lesson_of, pool
from pilotfish.compete.mix import threshold_by
from pilotfish.compete.plan import Sizes
from pilotfish.compete.students import Student, fitted, students, tune
from pilotfish.compete.task import TextTask, text_task
from pilotfish.compete.tuned import fine_tuned
from pilotfish.compete.watch import Budget, Watch
from pilotfish.distill.blackbox.students import EncoderStudent, LinearStudent
from pilotfish.model import Call, Price, Trace
from pilotfish.models.classify import Labeller, Labels, TextClassifier, TfidfFeatures
from pilotfish.models.encoder import Encoder
from tests.compete.help import made_rows, many_words, truth_of
from tests.fakes import ScriptedModel

ROWS, FREE, TEST = many_words(150, 0), many_words(600, 1), many_words(300, 2)
KEYS, MORE, HELD = made_rows(45, seed=3), made_rows(400, seed=4), made_rows(300, seed=5)
MADE = made_rows(1200, seed=6)
TRUTH = truth_of(ROWS, FREE, TEST, KEYS, MORE, HELD, MADE)


@pytest.fixture(scope="module")
def words() -> TextTask:
    """A task that only words can tell, for TF-IDF."""
    return text_task(ROWS, text="text", label="label", unlabelled=FREE, test=TEST)


@pytest.fixture(scope="module")
def keys() -> TextTask:
    """One that an encoder of random weights can tell too, with few rows."""
    return text_task(KEYS, text="text", label="label", unlabelled=MORE, test=HELD)


@pytest.fixture(scope="module", params=["words", "keys"])
def task(request: pytest.FixtureRequest) -> TextTask:
    found: TextTask = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def student(task: TextTask, encoder: Encoder) -> Student:
    return prepared(task, encoder, "tfidf" if len(task.labels) == 5 else "encoder")


def prepared(task: TextTask, encoder: Encoder, key: str) -> Student:
    one = next(kind for kind in students(task, encoder, Watch()) if kind.key == key)
    tune(task, one)
    return one


def said(task: TextTask, texts: Sequence[str], right: float = 0.9, *, sure: float = 0.8, sharp: float = 1.0) -> Labels:
    """What a white box says: its likeliest label has `sure`, and is right on a share of the texts."""
    logprobs = np.full((len(texts), len(task.labels)), (1 - sure) / (len(task.labels) - 1))
    rng = np.random.default_rng(7)
    for row, text in enumerate(texts):
        at = task.labels.index(TRUTH[text])
        logprobs[row, at if rng.random() < right else (at + 1) % len(task.labels)] = sure
    logprobs = np.log(logprobs) * sharp
    logprobs -= np.log(np.exp(logprobs).sum(axis=1, keepdims=True))
    calls = [Trace((Call("big", tokens_in=100, tokens_out=2, seconds=0.5, cost=0.001),)) for _ in texts]
    return Labels([task.labels[i] for i in logprobs.argmax(axis=1)], logprobs, calls, [False] * len(texts))


def judged(task: TextTask, taught: Labels, calibrate: Labels) -> Judged:
    rows = np.arange(0, len(task.test), 2)
    truth = [task.test_labels[i] for i in rows]
    best = Candidate("large-zero", "big", "large", rows, truth, truth, dollars=0.001, seconds=0.5)
    sizes = Sizes(len(rows), len(calibrate.labels), len(taught.labels))
    return Judged(best, None, best, Labeller(ScriptedModel(), task.labels), calibrate, taught, sizes)


def lesson(task: TextTask, count: int = 10_000, **settings: Any) -> Lesson:
    texts = pool(task)
    kept = [task.train[i] for i in task.calibrate]
    return lesson_of(task, judged(task, said(task, texts[:count], **settings), said(task, kept, **settings)), texts)


def distilled(task: TextTask, student: Student, one: Lesson, budget: Budget | None = None) -> Distilled | None:
    small, _ = fitted(task, student, patience=0.02)
    return distil(task, student, small, one, Watch(), budget or Budget())


# What there is to learn.


def test_unlabelled_texts_come_first_then_training_rows_but_none_that_is_kept_back(task: TextTask) -> None:
    texts = pool(task)
    count = len(task.unlabelled)
    assert sorted(texts[:count]) == sorted(task.unlabelled)
    assert sorted(texts[count:]) == sorted(task.train[i] for i in task.fit)
    assert texts == pool(task) != pool(task, 1)


def test_it_holds_all_of_peoples_labels_and_every_answer_with_what_it_took(task: TextTask) -> None:
    one = lesson(task, 500)
    assert one.texts[: len(task.train)] == task.train
    free = min(500, len(task.unlabelled))
    assert one.gold == [*task.train_labels, *[None] * free]
    assert one.free == free and one.people == len(task.train)
    # What was asked for the threshold is learnt too.
    assert one.taught == min(500, free + len(task.fit)) + len(task.calibrate)
    bill = one.teacher.bill
    assert (bill.calls, bill.tokens_in, bill.tokens_out) == (one.taught, 100 * one.taught, 2 * one.taught)
    assert bill.cost == pytest.approx(0.001 * one.taught)
    assert bill.seconds == pytest.approx(0.5 * one.taught / 8)  # eight questions at a time
    assert one.by_people().texts == task.train and one.by_people().taught == 0
    assert one.by_people().teacher.bill.calls == 0
    assert one.by_large().people == 0 and one.by_large().taught == len(one.by_large().texts) == one.taught


def test_an_answer_without_a_label_is_nothing_to_learn(task: TextTask) -> None:
    texts = pool(task)
    labels: list[str | None] = [None if i % 2 else TRUTH[text] for i, text in enumerate(texts[:100])]
    silent = Labels(labels, None, [Trace() for _ in labels], [False] * len(labels))
    one = lesson_of(task, judged(task, silent, Labels([], None, [], [])), texts)
    assert (one.taught, one.free, one.temperature) == (50, 50, 1.0)
    assert one.teacher.labels[len(task.train) :] == [TRUTH[text] for text in one.texts[len(task.train) :]]


def test_a_teacher_that_is_surer_than_it_is_right_is_brought_to_honesty() -> None:
    found = lesson(text_task(MADE, text="text", label="label"), right=0.8, sure=0.8, sharp=4.0)
    assert found.temperature == pytest.approx(4.0, rel=0.35)
    assert found.by_large().teacher.probabilities.max(axis=1).mean() == pytest.approx(0.8, abs=0.06)


# How it learns.


def test_good_labels_of_the_large_model_help_and_their_worth_is_told(task: TextTask, student: Student) -> None:
    found = distilled(task, student, lesson(task))
    assert found is not None
    assert found.candidate.accuracy.value > found.twin.accuracy.value + 0.05
    assert found.gain.low > 0 and found.gain.n == len(task.test)
    details = found.candidate.details
    assert found.alpha < 1 and set(details["alphas_tried"]) == set(ALPHAS)
    assert details["labels_used"] == len(task.train) and details["large_labels_used"] == found.lesson.taught
    assert found.candidate.once == pytest.approx(0.001 * found.lesson.taught)
    assert found.twin.once == 0 and found.twin.details["teacher_calls"] == 0
    assert found.silver.details["labels_used"] == 0
    assert found.student.predict(task.test) == list(found.candidate.answers)
    assert found.candidate.probabilities is not None
    np.testing.assert_allclose(found.student.predict_proba(task.test), found.candidate.probabilities, atol=1e-5)


def test_probabilities_say_more_than_the_likeliest_label(words: TextTask, encoder: Encoder) -> None:
    task = words
    # Of every three texts one is labelled wrongly, but then the right label is nearly as likely.
    texts = pool(task)
    told = said(task, texts, right=1.0)
    assert told.logprobs is not None
    soft, rng = np.exp(told.logprobs), np.random.default_rng(3)
    for row, text in enumerate(texts):
        if rng.random() < 0.45:
            at = task.labels.index(TRUTH[text])
            wrong = (at + 1 + int(rng.integers(len(task.labels) - 1))) % len(task.labels)
            soft[row] = 0.02
            soft[row, at], soft[row, wrong] = 0.45, 0.49
    names: list[str | None] = [task.labels[i] for i in soft.argmax(axis=1)]
    kind = prepared(task, encoder, "tfidf")
    none = Labels([], None, [], [])
    found = []
    for logprobs in (np.log(soft / soft.sum(axis=1, keepdims=True)), None):
        labels = Labels(names, logprobs, told.traces, told.truncated_rows)
        one = distilled(task, kind, lesson_of(task, judged(task, labels, none), texts))
        assert one is not None
        found.append(one.silver.accuracy.value)
    assert found[0] > found[1] + 0.03


def test_labels_of_no_use_are_not_listened_to(task: TextTask, student: Student) -> None:
    found = distilled(task, student, lesson(task, right=0.0, sure=0.95))
    assert found is not None
    assert found.alpha == 1.0
    assert list(found.candidate.answers) == list(found.twin.answers)
    assert (found.gain.value, found.gain.low <= 0 <= found.gain.high) == (0.0, True)
    assert found.candidate.accuracy.value > found.silver.accuracy.value + 0.2


def test_what_it_is_chosen_by_has_not_seen_the_rows_kept_back_in_any_form(task: TextTask) -> None:
    seen: list[set[str]] = []

    class Spy(LinearStudent):
        def fit(self, inputs: Sequence[str], *labels: Any) -> Any:
            seen.append(set(inputs))
            return super().fit(inputs, *labels)

    # One unlabelled text is a copy of a row kept back.
    copied = dataclasses.replace(task, unlabelled=[*task.unlabelled, task.train[task.tune[0]]])
    one = lesson(copied)
    found = learned(copied, lambda alpha: Spy(TfidfFeatures(), alpha=alpha, held_out=0.0), one, ALPHAS)
    kept = {task.train[i] for i in (*task.tune, *task.calibrate)}
    assert len(seen) == 2
    assert not seen[0] & kept
    assert seen[1] == set(one.texts) > kept
    assert found.kept.shape == (len(task.calibrate), len(task.labels))
    part = one.without(kept)
    first = LinearStudent(TfidfFeatures(), alpha=found.alpha, held_out=0.0)
    first.fit(part.texts, part.gold, part.teacher)
    texts, truth = task.taken(np.concatenate([task.tune, task.calibrate]))
    logits = np.log(first.predict_proba(texts))
    losses = []
    for sharper in np.geomspace(0.06, 18, 400):  # the best temperature there is, whatever it has been calibrated to
        scaled = np.exp(logits / sharper) / np.exp(logits / sharper).sum(axis=1, keepdims=True)
        losses.append(-np.mean([np.log(p[task.labels.index(label)]) for p, label in zip(scaled, truth, strict=True)]))
    assert found.loss == pytest.approx(min(losses), rel=0.01)
    threshold = threshold_by(copied, judged(copied, said(copied, []), said(copied, [])), found.kept, copied.labels)
    assert threshold.rows == 0


def test_it_does_not_look_at_test_labels(task: TextTask, student: Student) -> None:
    other = dataclasses.replace(task, test_labels=task.test_labels[::-1])
    a, b = (distilled(one, student, lesson(one)) for one in (task, other))
    assert a is not None and b is not None
    assert list(a.candidate.answers) == list(b.candidate.answers)
    assert a.candidate.chosen_by == b.candidate.chosen_by


def test_too_few_labels_and_too_little_time(task: TextTask, student: Student) -> None:
    none = Labels([], None, [], [])
    silent: list[str | None] = [None] * 50
    one_kind: list[str | None] = [task.labels[0]] * 50
    for labels in (silent, one_kind):
        taught = Labels(labels, None, [Trace() for _ in labels], [False] * 50)
        assert distilled(task, student, lesson_of(task, judged(task, taught, none), pool(task))) is None
    # What only rows kept back are labelled by could not be chosen by them.
    kept = said(task, [task.train[i] for i in task.calibrate])
    assert distilled(task, student, lesson_of(task, judged(task, none, kept), pool(task))) is None
    assert distilled(task, student, lesson(task), Budget(max_seconds=0.0)) is None


@pytest.mark.parametrize(("fit", "alphas"), [(0.4, ALPHAS), (0.7, FEW_ALPHAS), (0.9, None)])
def test_little_time_makes_few_alphas(fit: float, alphas: tuple[float, ...] | None) -> None:
    # Four alphas take twenty fits, two of them twelve, of half of the time that is left.
    shown = io.StringIO()
    assert _alphas(fit, Watch(Console(file=shown, width=200)), Budget(max_seconds=20.0)) == alphas
    assert ("no time left for a distilled student" in shown.getvalue()) == (alphas is None)


# The encoder itself.


def test_the_encoder_is_fine_tuned_where_time_allows_and_its_folder_is_whole(
    task: TextTask, encoder: Encoder, tmp_path: Path
) -> None:
    one, before = lesson(task, 100), encoder.encode(task.test[:5])
    for budget in (Budget(), Budget(max_seconds=1.0)):
        assert fine_tuned(task, encoder, one, 0.5, 1e-3, Watch(), budget) is None
    found = fine_tuned(task, encoder, one, 0.5, 1e-4, Watch(), Budget(max_seconds=100))
    assert found is not None and found.both is not None and found.by_both is not None
    np.testing.assert_array_equal(encoder.encode(task.test[:5]), before)
    assert (found.gold.family, found.both.family) == ("small", "taught")
    assert found.gold.once == 0 and found.both.once == pytest.approx(one.teacher.bill.cost)
    assert found.gold.details["epochs"] == 3 and found.gold.weights > 0 and found.both.seconds
    assert found.by_people.kept.shape == (len(task.calibrate), len(task.labels))
    assert isinstance(found.by_both.student, EncoderStudent)
    found.by_both.student.save(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    again = TextClassifier.load(tmp_path / "b")
    assert found.both.probabilities is not None
    np.testing.assert_allclose(again.predict_proba(task.test), found.both.probabilities, atol=1e-5)
    deaf = fine_tuned(task, encoder, one, 1.0, 1e-4, Watch(), Budget(max_seconds=100))
    assert deaf is not None and deaf.both is None
    # The better of the two distilled students by rows kept back stands for both.
    linear = distilled(task, prepared(task, encoder, "tfidf"), one)
    assert linear is not None
    found.by_both.loss = linear.candidate.details["loss_on_rows_kept_back"] - 0.01
    better = linear.beside(found)
    assert (better.candidate, better.twin, better.other) == (found.both, found.gold, linear.candidate)
    assert better.student is found.by_both.student
    found.by_both.loss += 0.02
    assert linear.beside(found).candidate is linear.candidate and linear.beside(found).other is found.both
    assert linear.beside(deaf) is linear


def test_prices_that_are_not_known(task: TextTask) -> None:
    texts = pool(task)[:10]
    labels = said(task, texts)
    labels.traces = [Trace((Call("big", cost=None),)) for _ in texts]
    assert lesson_of(task, judged(task, labels, said(task, [])), texts).teacher.bill.cost is None
    # Answers out of a store are counted at list price.
    labels.traces = [Trace((Call("big", tokens_in=1000, cost=0.0, cached=True),)) for _ in texts]
    one = judged(task, labels, said(task, []))
    one.labeller.model.price = Price(2.0, 8.0)  # type: ignore[attr-defined]
    assert lesson_of(task, one, texts).teacher.bill.cost == pytest.approx(10 * 0.002)


def test_ten_rows_do(encoder: Encoder) -> None:
    tiny = text_task([row for row in KEYS if row["label"] != "cat"][:10], text="text", label="label")
    found = distilled(tiny, prepared(tiny, encoder, "encoder"), lesson(tiny))
    assert found is None or len(found.candidate.answers) == len(tiny.test)
