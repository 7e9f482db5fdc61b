"""Further candidates: fitted within the time, measured, chosen where rows kept back say so, and saved whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.compete import advise as advising
from pilotfish.compete.advise import Settings, advise
from pilotfish.compete.folder import write_folder
from pilotfish.compete.further import Further, further
from pilotfish.compete.mix import threshold_by
from pilotfish.compete.task import TextTask
from pilotfish.compete.watch import Budget, Watch
from pilotfish.model import Price
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from tests.compete.help import made_rows, made_task, oracle, truth_of

QUICK = Settings(seeds=1, counts=(0, 8), margin=0.05)


@pytest.fixture(scope="module")
def task() -> TextTask:
    return made_task(200)


@pytest.fixture(scope="module")
def found(task: TextTask, encoder: Encoder) -> list[Further]:
    return further(task, encoder, Watch(), Budget(max_seconds=60.0), 1e-5, large=False)


def test_all_kinds_are_taught_where_there_is_time(task: TextTask, found: list[Further]) -> None:
    assert [one.candidate.key for one in found] == ["bag", "contrastive", "lora", "tuned"]
    for one in found:
        candidate = one.candidate
        assert candidate.family == "small" and candidate.weights > 0 and candidate.seconds
        if candidate.key in (
            "bag",
            "contrastive",
        ):  # at its usual rate an encoder of random weights learns next to nothing
            assert candidate.accuracy.value > 0.9
        assert one.student.predict(task.test) == list(candidate.answers)
        assert one.learner.kept.shape == (len(task.calibrate), len(task.labels))
        assert candidate.details["labels_used"] == len(task.train) and candidate.details["large_labels_used"] == 0
    titles = [one.candidate.title for one in found]
    assert len(set(titles)) == 4 and all(len(title) < 60 for title in titles)


def test_rows_kept_back_are_not_learnt_before_they_judge(task: TextTask, encoder: Encoder) -> None:
    """The labels of the held-out rows could be anything: nothing that is learnt or chosen may move."""
    other = dataclasses.replace(task, test_labels=task.test_labels[::-1])
    both = [further(one, encoder, Watch(), Budget(), 0.0, large=False)[0] for one in (task, other)]
    assert both[0].candidate.chosen_by == both[1].candidate.chosen_by
    assert both[0].candidate.answers == both[1].candidate.answers
    np.testing.assert_array_equal(both[0].learner.kept, both[1].learner.kept)


def test_what_there_is_no_time_for_is_said(
    task: TextTask, encoder: Encoder, tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    watch = Watch()
    monkeypatch.setattr(watch, "say", said.append)
    slow = further(task, encoder, watch, Budget(max_seconds=100.0), 1.0, large=True)
    assert [one.candidate.key for one in slow] == ["bag"]
    left_out = [line for line in said if "left out" in line]
    assert len(left_out) == 2 and "contrastive" in left_out[0] and "LoRA" in left_out[1]  # all weights come later
    # Without a limit nobody said how long it may take, and a language model's vectors are not tuned here.
    assert [one.candidate.key for one in further(task, encoder, Watch(), Budget(), 0.0, large=True)] == ["bag"]
    assert [one.candidate.key for one in further(task, tiny_lm, Watch(), Budget(600.0), 0.0, large=True)] == ["bag"]


def lucky(*settings: object, **more: object) -> list[Further]:
    made = further(*settings, **more)  # type: ignore[arg-type]
    made[0].candidate.chosen_by = 1.1  # so that it is the best by rows kept back, whatever it learnt
    return made


@pytest.mark.parametrize("large", [False, True])
def test_it_is_the_small_model_where_rows_kept_back_say_so(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, large: bool
) -> None:
    rows = made_rows(200)
    monkeypatch.setattr(advising, "further", lucky)
    model = oracle(truth_of(rows), wrong=0.05, price=Price(2, 8)) if large else None
    from pilotfish.compete.task import text_task

    advice = advise(text_task(rows, text="text", label="label"), encoder, model, QUICK)
    assert advice.small.key == "bag" and advice.contenders[0] is advice.small
    assert advice.small in advice.candidates
    if large:
        assert advice.judged is not None and advice.threshold is not None
        wanted = further(advice.task, encoder, Watch(), Budget(), 0.0, large=True)[0].learner.kept
        # The cascade's threshold is chosen by the one that did not see the rows it is chosen on.
        assert advice.threshold == threshold_by(advice.task, advice.judged, wanted, advice.task.labels)
    write_folder(advice, tmp_path / "a", None)
    (tmp_path / "a").rename(tmp_path / "b")
    small = Collaboration.load(tmp_path / "b" / "pilotfish.toml").model("small")
    assert [ask(small, text).text for text in advice.task.test[:10]] == list(advice.small.answers)[:10]
