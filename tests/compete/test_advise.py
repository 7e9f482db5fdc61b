from __future__ import annotations

import dataclasses
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.compete.advise import Advice, Settings, advise, kept
from pilotfish.compete.task import text_task
from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.model import Price
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from tests.compete.help import Row, made_rows, many_words, oracle, truth_of
from tests.fakes import ScriptedModel

QUICK = Settings(seeds=1, counts=(0, 8), margin=0.05)


def advised(rows: list[Row], small: Encoder | LocalModel, large: ScriptedModel | None, **settings: Any) -> Advice:
    free, test = settings.pop("free", []), settings.pop("test", None)
    task = text_task(rows, text="text", label="label", unlabelled=free, test=test)
    return advise(task, small, large, dataclasses.replace(QUICK, **settings))


# The four answers, end to end.


def test_small_where_it_is_as_good(encoder: Encoder) -> None:
    rows = made_rows(600)
    found = advised(rows, encoder, oracle(truth_of(rows), wrong=0.05, price=Price(2, 8)))
    assert found.verdict.answer == "small" and found.verdict.settled
    assert found.verdict.chosen is found.small
    assert found.classifier.predict(found.task.test) == list(found.small.answers)
    assert found.crossings.keys() == {"tfidf", "encoder", "static"}


def test_cascade_where_the_small_one_knows_when_it_does_not_know(encoder: Encoder) -> None:
    rows = made_rows(900, hard=0.3)
    found = advised(rows, encoder, oracle(truth_of(rows), price=Price(2, 8)))
    assert found.verdict.answer == "cascade"
    assert 0.2 < found.verdict.chosen.details["deferred"] < 0.5
    assert found.threshold is not None and 0 < found.threshold.above < 1


def test_large_where_the_small_one_knows_next_to_nothing(encoder: Encoder) -> None:
    rows = made_rows(500, hard=1.0)
    found = advised(rows, encoder, oracle(truth_of(rows), price=Price(2, 8)))
    assert found.verdict.answer == "large"
    assert found.verdict.chosen.accuracy.value == 1.0


def test_large_at_training_time_only_where_people_gave_few_labels(encoder: Encoder) -> None:
    rows, free, test = many_words(150, 0), many_words(1500, 1), many_words(300, 2)
    truth = truth_of(rows, free, test)
    found = advised(rows, encoder, oracle(truth, price=Price(2, 8)), free=free, test=test, unlabelled_rows=1500)
    assert found.distilled is not None and found.distilled.lesson.free > 1000
    assert found.distilled.candidate.accuracy.value > found.small.accuracy.value + 0.1
    assert found.distilled.gain.low > 0.1  # the same student with people's labels only
    assert found.verdict.answer == "large at training time only"
    assert found.verdict.chosen is found.distilled.candidate
    # What its teacher took is told, and counts.
    assert found.judged is not None and found.judged.best.dollars is not None
    asked = len(found.judged.taught.labels) + len(found.judged.calibrate.labels)
    assert found.verdict.chosen.details["teacher_calls"] == asked
    assert found.verdict.chosen.once == pytest.approx(asked * found.judged.best.dollars, rel=0.05)
    assert f"asked {asked:,} times, once, for $" in found.verdict.reason


# Statistics.


def test_nothing_but_the_measurement_depends_on_the_test_labels(encoder: Encoder) -> None:
    rows, test = made_rows(240, hard=0.3), made_rows(90, hard=0.3, seed=3)
    shuffled = [row["label"] for row in test]
    random.Random(0).shuffle(shuffled)
    other = [{**row, "label": label} for row, label in zip(test, shuffled, strict=True)]
    truth = truth_of(rows, test)
    a, b = (advised(rows, encoder, oracle(truth), test=part) for part in (test, other))
    assert a.small.key == b.small.key
    assert a.threshold == b.threshold
    assert a.judged is not None and b.judged is not None
    assert a.judged.best.key == b.judged.best.key
    for one, two in zip(a.candidates, b.candidates, strict=True):
        assert list(one.answers) == list(two.answers), one.key
        assert one.chosen_by == two.chosen_by


def test_contenders_are_compared_on_the_rows_that_the_large_one_answered(encoder: Encoder) -> None:
    rows = made_rows(600)
    found = advised(rows, encoder, oracle(truth_of(rows)), test_rows=60)
    assert found.verdict.rows == 60
    assert len(found.small.rows) == 150
    # Two small ones have answered every row, and are compared there.
    whole = {"small", "taught"}
    for one in found.contenders:
        if one is not found.verdict.chosen:
            both = {one.family, found.verdict.chosen.family} <= whole
            assert found.verdict.differences[one.key].n == (150 if both else 60)


# Odd tasks.


def test_two_classes_one_of_them_rare(encoder: Encoder) -> None:
    rows = [row for i, row in enumerate(made_rows(200, classes=2)) if row["label"] == "card" or i % 9 == 0]
    found = advised(rows, encoder, oracle(truth_of(rows)))
    assert len(found.task.labels) == 2
    assert found.small.probabilities is not None and found.small.probabilities.shape[1] == 2


def test_ten_rows_only(encoder: Encoder) -> None:
    rows = made_rows(10, classes=2)
    found = advised(rows, encoder, oracle(truth_of(rows)))
    assert not found.verdict.settled
    assert "best so far" in found.verdict.reason
    json.dumps(found.to_json()["verdict"], allow_nan=False)


def test_classes_with_one_to_three_rows_and_labels_that_training_lacks(encoder: Encoder) -> None:
    rows = made_rows(120)
    rows += [{"text": f"{word} lonely thing", "label": label} for word, label in zip("abcdef", "xyyzzz", strict=True)]
    test = [*made_rows(60, seed=4), {"text": "never seen before", "label": "unheard of"}]
    found = advised(rows, encoder, oracle({**truth_of(rows, test)}), test=test)
    assert {gate.name: gate.status for gate in found.gates}["Unseen classes"] == "warn"
    assert len(found.small.answers) == 61
    assert all(one.macro_f1 < 1 for one in found.candidates)


def test_labels_with_quotes_newlines_and_other_scripts(encoder: Encoder) -> None:
    labels = ['say "no"', "two\nlines", "日本語 ☃"]
    rows = made_rows(240, labels=labels)
    found = advised(rows, encoder, ScriptedModel(lambda request: "日本語 ☃"))
    assert sorted(found.task.labels) == sorted(labels)
    assert found.judged is not None
    assert set(found.judged.best.answers) == {"日本語 ☃"}
    assert found.judged.best.accuracy.value == pytest.approx(found.task.test_labels.count("日本語 ☃") / 60)


def test_without_a_large_model(encoder: Encoder) -> None:
    found = advised(made_rows(200), encoder, None, free=made_rows(30, seed=5))
    assert found.verdict.answer == "small"
    assert found.judged is None and found.distilled is None and not found.crossings
    assert "none was measured" in found.verdict.flip or "harder rows" in found.verdict.flip
    assert any("not used" in note for note in found.task.notes)


def test_a_language_models_hidden_states_as_the_small_model_and_texts_too_long_for_it(tiny_lm: LocalModel) -> None:
    rows = made_rows(150)
    rows[0]["text"] = "very long " * 400
    found = advised(rows, tiny_lm, oracle(truth_of(rows)))
    assert [one.key for one in found.candidates][:3] == ["majority", "tfidf", "encoder"]
    assert "tiny cut 1 of" in next(gate.text for gate in found.gates if gate.name == "Truncation")


def test_without_unlabelled_rows_the_training_rows_are_learnt_with_both_labels(encoder: Encoder) -> None:
    rows = made_rows(300)
    found = advised(rows, encoder, oracle(truth_of(rows)))
    assert found.distilled is not None
    lesson = found.distilled.lesson
    assert lesson.texts == found.task.train and lesson.gold == found.task.train_labels
    assert lesson.free == 0 and lesson.taught > 150
    assert [one.key for one in found.candidates][-2:] == ["distilled-large", "distilled"]


def test_only_the_unlabelled_rows_that_are_used_are_read(encoder: Encoder) -> None:
    rows, free = made_rows(120), made_rows(500, seed=5)
    found = advised(rows, encoder, oracle(truth_of(rows, free)), free=free, unlabelled_rows=20)
    assert len(found.task.unlabelled) == 20
    assert found.distilled is not None and 10 < found.distilled.lesson.free <= 20
    assert any("seeded sample of 20" in note for note in found.task.notes)


def test_an_answer_that_is_never_a_label(encoder: Encoder) -> None:
    rows = made_rows(240)
    found = advised(rows, encoder, ScriptedModel("I cannot help with that."))
    assert found.verdict.answer == "small"
    assert found.judged is not None and found.judged.best.failures == 60
    assert found.distilled is None


# Budgets, settings, failures.


def test_seconds_are_kept_to(encoder: Encoder) -> None:
    rows = made_rows(400)
    # A machine that is slow, or has more to do, has no time left for the large model in 8 seconds.
    for limit in (8.0, 20.0, 60.0):
        slow = oracle(truth_of(rows), delay=0.3 * limit / 8)
        started = time.perf_counter()
        found = advised(rows, encoder, slow, max_seconds=limit)
        assert time.perf_counter() - started < 1.25 * limit
        if found.judged is not None:
            break
    assert found.judged is not None
    assert 30 <= len(found.judged.best.rows) < 100


def test_too_few_seconds_for_the_large_model_still_give_an_answer(encoder: Encoder) -> None:
    rows = made_rows(200)
    found = advised(rows, encoder, oracle(truth_of(rows), delay=2.0), max_seconds=5.0)
    assert found.judged is None
    assert found.verdict.answer == "small"


def test_dollars_are_kept_to(encoder: Encoder) -> None:
    rows = made_rows(400)
    found = advised(rows, encoder, oracle(truth_of(rows), price=Price(10, 10)), max_cost=0.12)
    assert 0 < found.spent <= 0.12
    assert found.judged is not None and 30 <= len(found.judged.best.rows) <= 100


def test_a_failing_endpoint_is_its_own_error(encoder: Encoder) -> None:
    with pytest.raises(UpstreamError, match="scripted failure"):
        advised(made_rows(120), encoder, ScriptedModel(fail_first=10**6))


def test_a_second_run_asks_nothing_again(encoder: Encoder, tmp_path: Path) -> None:
    rows = made_rows(200)
    task = text_task(rows, text="text", label="label")
    models = [oracle(truth_of(rows)) for _ in range(3)]
    models[2].name = "another"
    for model in models:
        advise(task, encoder, model, QUICK, memo=kept(tmp_path))
    assert models[0].calls == models[2].calls > 100
    assert models[1].calls == 0


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"margin": 0.0}, "margin"),
        ({"margin": 0.5}, "margin"),
        ({"alpha": 0.7}, "alpha"),
        ({"seeds": 0}, "seeds"),
        ({"shots": 0}, "shots"),
        ({"test_rows": 0}, "test_rows"),
        ({"calibrate_rows": -1}, "calibrate_rows"),
        ({"unlabelled_rows": -1}, "unlabelled_rows"),
        ({"seed": -1}, "seed"),
        ({"counts": (0, -8)}, "counts"),
        ({"max_seconds": -1.0}, "--max-seconds"),
        ({"max_cost": float("nan")}, "--max-cost"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Settings(**settings)


def test_no_rows_for_the_threshold_or_to_learn_from(encoder: Encoder) -> None:
    rows = made_rows(200)
    found = advised(rows, encoder, oracle(truth_of(rows)), calibrate_rows=0, unlabelled_rows=0)
    assert found.threshold is not None and found.threshold.above == 0
    assert found.distilled is None
    json.dumps(found.verdict.to_json(), allow_nan=False)


def test_gates_can_fail(encoder: Encoder) -> None:
    rows = made_rows(150)
    found = advised(rows, encoder, None, max_memory=10, licences=("mit",))
    assert not found.passed
    assert {gate.name for gate in found.gates if gate.status == "fail"} == {"Licence", "Memory"}


def test_static_and_curve_points_are_of_the_right_rows(encoder: Encoder) -> None:
    found = advised(made_rows(200), encoder, None)
    for curve in found.curves:
        assert curve.counts[-1] == 50
        assert curve.correct[-1].shape == (len(found.task.test),)
    best = next(curve for curve in found.curves if curve.key == found.small.key)
    assert np.array_equal(best.correct[-1], found.small.correct)
