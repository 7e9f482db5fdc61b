from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pilotfish.compete.large import Judged, judge, medoids
from pilotfish.compete.lesson import lesson_of
from pilotfish.compete.memo import Memo
from pilotfish.compete.plan import Sizes
from pilotfish.compete.students import Student, students
from pilotfish.compete.task import TextTask, text_task
from pilotfish.compete.watch import Budget, Watch
from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.model import Call, Model, Price, Reply, Request, Trace
from pilotfish.models.classify import Labeller, Labels
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from tests.compete.help import KEYWORDS, made_rows, oracle, truth_of
from tests.fakes import ScriptedModel

ROWS = made_rows(320, hard=0.2)
FREE = made_rows(50, hard=0.2, seed=7)
TRUTH = truth_of(ROWS, FREE)
SIZES = Sizes(500, 300, 400)


@pytest.fixture(scope="module")
def task() -> TextTask:
    return text_task(ROWS, text="text", label="label", unlabelled=FREE)


@pytest.fixture(scope="module")
def student(task: TextTask, encoder: Encoder) -> Student:
    return students(task, encoder, Watch())[1]


def asked(
    task: TextTask,
    model: Model,
    student: Student,
    budget: Budget | None = None,
    memo: Path | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> Judged | None:
    return judge(
        task,
        model,
        student,
        watch or Watch(),
        budget or Budget(),
        Memo(memo),
        identity="m",
        sizes=settings.pop("sizes", SIZES),
        pool=task.unlabelled,
        **settings,
    )


def test_it_is_asked_about_every_row_and_measured_as_it_is(task: TextTask, student: Student) -> None:
    model = oracle(TRUTH, wrong=0.1, silent=0.05, price=Price(1, 1))
    found = asked(task, model, student)
    assert found is not None and found.few is not None
    right = [a == t for a, t in zip(found.zero.answers, task.test_labels, strict=True)]
    assert found.zero.accuracy.value == pytest.approx(np.mean(right))
    assert 0.7 < found.zero.accuracy.value < 0.95
    assert found.zero.failures == sum(answer is None for answer in found.zero.answers) > 0
    assert found.zero.details["how"] == "answer parsed"
    assert found.sizes == Sizes(len(task.test), len(task.calibrate), len(task.unlabelled))
    assert len(found.calibrate.labels) == len(task.calibrate)
    assert found.taught.labels == [oracle_said(text) for text in task.unlabelled]
    assert found.few.dollars is not None and found.zero.dollars is not None
    assert found.few.dollars > found.zero.dollars > 0


def oracle_said(text: str) -> str | None:
    from pilotfish import ask

    said = ask(oracle(TRUTH, wrong=0.1, silent=0.05), f"Text: {text}").text
    return said if said in KEYWORDS else None


def test_the_way_of_asking_is_chosen_by_rows_kept_back_never_by_the_test(task: TextTask, student: Student) -> None:
    def few_shot_helps(request: Request) -> str:
        text = request.prompt.removeprefix("Text: ")
        shown = len(request.messages) > 2
        kept = {task.train[i] for i in task.calibrate}
        # Examples help on rows kept back and hurt on the test rows.
        good = shown if text in kept else not shown
        return TRUTH[text] if good else "cat"

    found = asked(task, ScriptedModel(few_shot_helps), student)
    assert found is not None and found.few is not None
    assert found.best is found.few
    assert found.few.accuracy.value < found.zero.accuracy.value
    same = asked(task, oracle(TRUTH), student)
    assert same is not None and same.best is same.zero  # of equals the one with the shorter prompt


def test_examples_are_typical_training_rows_that_are_not_kept_back(task: TextTask, student: Student) -> None:
    kept_back = {task.train[i] for i in (*task.tune, *task.calibrate)}
    shown = medoids(task, student, 2)
    assert [label for _, label in shown] == [*task.labels, *task.labels]
    truth = dict(zip(task.train, task.train_labels, strict=True))
    for text, label in shown:
        assert truth[text] == label
        assert text not in kept_back
        assert text not in task.test
    one_row = dataclasses.replace(
        task, train_labels=["odd" if i == task.fit[0] else x for i, x in enumerate(task.train_labels)]
    )
    rare = dataclasses.replace(one_row, labels=sorted({*task.labels, "odd"}))
    assert [label for _, label in medoids(rare, student, 2)].count("odd") == 1


@pytest.mark.parametrize("limit", [0.01, 0.02, 0.05, 0.1])
def test_a_limit_in_dollars_is_never_passed(task: TextTask, student: Student, limit: float) -> None:
    """Whatever the plan thought: the texts cost up to twice what the probes did."""
    model = oracle(TRUTH, price=Price(8, 8))
    budget = Budget(max_cost=limit)
    found = asked(task, model, student, budget)
    words = sum(sum(len(m.text.split()) for m in request.messages) + 1 for request in model.requests)
    assert budget.spent == pytest.approx(words * 8e-6)
    assert budget.spent <= limit
    if found is not None:
        assert len(found.zero.rows) >= 30
        assert found.few is None or np.array_equal(found.zero.rows, found.few.rows)


def test_a_price_that_rises_midway_stops_the_asking_and_keeps_what_there_is(task: TextTask, student: Student) -> None:
    calls = [0]

    def dearer(request: Request) -> Reply:
        calls[0] += 1
        cost = 0.001 if calls[0] < 120 else 0.003
        return Reply(TRUTH[request.prompt.removeprefix("Text: ")], trace=Trace((Call("m", cost=cost),)))

    budget = Budget(max_cost=0.35)
    found = asked(task, ScriptedModel(dearer), student, budget)
    assert found is not None
    # One chunk may be asked before the rise is seen.
    assert budget.spent <= 0.35 + 32 * 0.002
    assert len(found.taught.labels) < len(task.unlabelled)
    for way in (found.zero, found.few):
        assert way is None or len(way.rows) == found.sizes.test


def test_too_small_a_budget_leaves_the_model_out_and_says_so(task: TextTask, student: Student) -> None:
    shown = io.StringIO()
    watch = Watch(Console(file=shown, width=200))
    budget = Budget(max_cost=0.001)
    assert asked(task, oracle(TRUTH, price=Price(8, 8)), student, budget, watch=watch) is None
    assert "left out" in shown.getvalue()
    assert budget.spent <= 0.001
    model = oracle(TRUTH, price=Price(8, 8))
    assert asked(task, model, student, Budget(max_cost=0.0), watch=watch) is None
    assert model.calls == 0


def test_an_unknown_price_is_shown_as_unknown_and_refused_under_a_limit(task: TextTask, student: Student) -> None:
    def unpriced(request: Request) -> Reply:
        return Reply(TRUTH[request.prompt.removeprefix("Text: ")], trace=Trace((Call("m", cost=None),)))

    found = asked(task, ScriptedModel(unpriced), student)
    assert found is not None and found.best.dollars is None
    assert lesson_of(task, found, task.unlabelled).teacher.bill.cost is None
    with pytest.raises(ConfigError, match="price"):
        asked(task, ScriptedModel(unpriced), student, Budget(max_cost=1.0))


def test_what_a_cache_answered_is_not_taken_for_free_or_fast(task: TextTask, student: Student) -> None:
    def cached(request: Request) -> Reply:
        call = Call("m", tokens_in=1000, tokens_out=10, seconds=0.0, cost=0.0, cached=True)
        return Reply(TRUTH[request.prompt.removeprefix("Text: ")], trace=Trace((call,)))

    found = asked(task, ScriptedModel(cached), student)
    assert found is not None
    assert found.best.dollars is None and found.best.seconds is None and found.best.p50 is None
    priced = ScriptedModel(cached)
    priced.price = Price(2.0, 8.0)  # type: ignore[attr-defined]
    again = asked(task, priced, student)
    assert again is not None
    assert again.best.dollars == pytest.approx((2 * 1000 + 8 * 10) / 1e6)


def test_a_stopped_measurement_goes_on_where_it_was_and_plans_as_before(
    task: TextTask, student: Student, tmp_path: Path
) -> None:
    memo = tmp_path / "large.jsonl"
    whole = oracle(TRUTH, price=Price(8, 8))
    first = asked(task, whole, student, Budget(max_cost=0.1))
    stopping = oracle(TRUTH, price=Price(8, 8))
    say = stopping._script
    assert callable(say)
    stopping._script = lambda request: UpstreamError("down", status=500) if stopping.calls > 100 else say(request)
    with pytest.raises(UpstreamError, match="down"):
        asked(task, stopping, student, Budget(max_cost=0.1), memo)
    resumed = oracle(TRUTH, price=Price(8, 8))
    second = asked(task, resumed, student, Budget(max_cost=0.1), memo)
    assert first is not None and second is not None
    assert second.sizes == first.sizes
    assert resumed.calls <= whole.calls - 64  # at least two whole chunks were kept
    assert list(second.best.answers) == list(first.best.answers)


def test_latencies_of_a_black_box_are_of_single_replies(task: TextTask, student: Student) -> None:
    found = asked(task, oracle(TRUTH, delay=0.002), student, sizes=Sizes(40, 10, 0))
    assert found is not None
    assert found.best.p50 == found.best.p95 == pytest.approx(0.002)
    assert found.best.seconds == pytest.approx(0.002 / 8)
    assert found.sizes.test == 40
    assert found.best.rows.tolist() == sorted(found.best.rows.tolist())


def test_a_white_box_is_read_by_probabilities_and_its_bias_is_taken_out(
    task: TextTask, student: Student, tiny_lm: LocalModel
) -> None:
    small = dataclasses.replace(task, test=task.test[:40], test_labels=task.test_labels[:40])
    found = asked(small, tiny_lm, student, sizes=Sizes(40, 8, 8))
    assert found is not None
    assert found.best.failures == 0
    assert found.best.details["bias_corrected"]
    assert found.best.probabilities is not None
    np.testing.assert_allclose(found.best.probabilities.sum(axis=1), 1, atol=1e-4)
    # The correction needs no label: with it the answers spread over the labels.
    assert len(set(found.best.answers)) > 1
    assert found.best.joules is not None and found.best.p50 is not None
    assert found.best.weights == 4 * tiny_lm.parameters


def test_examples_that_do_not_fit_the_model_leave_the_zero_shot_way(
    task: TextTask, student: Student, tiny_folder: Callable[..., Path]
) -> None:
    shown = io.StringIO()
    model = LocalModel(tiny_folder(), name="tiny", dtype="float32", device="cpu")
    small = dataclasses.replace(task, test=task.test[:30], test_labels=task.test_labels[:30])
    found = asked(small, model, student, watch=Watch(Console(file=shown, width=200)), sizes=Sizes(30, 4, 0), shots=20)
    assert found is not None and found.few is None
    assert "no room for 60 examples" in shown.getvalue()


def test_very_long_texts_are_cut_and_counted(student: Student, task: TextTask, tiny_lm: LocalModel) -> None:
    long = dataclasses.replace(
        task,
        test=[f"{text} and more" * (200 if i < 3 else 1) for i, text in enumerate(task.test[:30])],
        test_labels=task.test_labels[:30],
    )
    found = asked(long, tiny_lm, student, sizes=Sizes(30, 4, 0))
    assert found is not None
    assert found.best.details["truncated"] == 3


def test_no_row_to_learn_from_is_asked_before_the_way_of_asking_is_settled(
    task: TextTask, student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rounds the budget allows, threshold and pool are asked about once, in one way."""
    rounds = iter([Sizes(60, 20, 30, 32), None])

    def further(*_: object) -> Sizes | None:
        return next(rounds)

    monkeypatch.setattr("pilotfish.compete.large.extended", further)
    monkeypatch.setattr("pilotfish.compete.large.afforded", lambda *_: Sizes(30, 10, 15, 16))
    asked: list[str] = []
    memo = Memo(None)
    inner = memo.predict

    def noted(labeller: Labeller, texts: Sequence[str], *rest: Any) -> Labels:
        asked.append(f"{len(labeller.examples)} {len(texts)}")
        return inner(labeller, texts, *rest)

    monkeypatch.setattr(memo, "predict", noted)
    found = judge(
        task,
        oracle(TRUTH),
        student,
        Watch(),
        Budget(),
        memo,
        identity="one",
        sizes=Sizes(60, 20, 30, 32),
        pool=task.unlabelled,
    )
    assert found is not None and (found.sizes.test, found.sizes.calibrate, found.sizes.unlabelled) == (60, 20, 30)
    assert sum(one.endswith(" 30") for one in asked) == 2 + 1  # held-out rows of the first round, and the pool once
    assert sum(one.endswith(" 20") for one in asked) == 1
    assert not any(one.endswith((" 10", " 15")) for one in asked)
