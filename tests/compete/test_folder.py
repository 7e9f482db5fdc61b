from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.compete import folder
from pilotfish.compete.advise import Advice, Settings, advise
from pilotfish.compete.folder import plain, table, write_folder
from pilotfish.compete.task import text_task
from pilotfish.distill.blackbox.students import EncoderStudent
from pilotfish.errors import DataError
from pilotfish.model import Price
from pilotfish.models.classify import TextClassifier
from pilotfish.models.encoder import Encoder
from pilotfish.train.settings import Fit
from tests.compete.help import made_rows, oracle, truth_of

NASTY = ['say "no"\\', "two\nlines\ttabbed", "del \x7f <script> 日本語 ☃"]
LARGE = {"use": "openai", "model": "big", "price": {"input": 2.0, "output": 8.0}, "base_url": None}


def made(encoder: Encoder, hard: float = 0.3, *, large: bool = True, name: str = "big") -> Advice:
    rows = made_rows(900, hard=hard, labels=NASTY)
    model = oracle(truth_of(rows), price=Price(2, 8), name=name) if large else None
    return advise(text_task(rows, text="text", label="label"), encoder, model, Settings(seeds=1, counts=(0, 8)))


@pytest.fixture(scope="module")
def advice(encoder: Encoder) -> Advice:
    return made(encoder, name="big\nbad = 1")


@pytest.fixture(scope="module")
def alone(encoder: Encoder) -> Advice:
    return made(encoder, large=False)


def strictly(path: Path) -> Any:
    def fail(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=fail)


def files(path: Path) -> set[str]:
    return {str(one.relative_to(path)) for one in path.rglob("*") if one.is_file()}


def test_everything_is_written_and_says_the_same(advice: Advice, tmp_path: Path) -> None:
    write_folder(advice, tmp_path, LARGE)
    data = strictly(tmp_path / "advice.json")
    assert data["verdict"]["answer"] == advice.verdict.answer == "cascade"
    assert [one["key"] for one in data["candidates"]] == [one.key for one in advice.candidates]
    assert data["settings"]["counts"] == [0, 8]
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in lines] == advice.task.test
    right = np.mean([line["answers"]["cascade"] == line["label"] for line in lines])
    assert right == pytest.approx(advice.verdict.chosen.accuracy.value)
    assert "<script>" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not [name for name in files(tmp_path) if name.endswith(".tmp")]


def test_the_classifier_is_the_one_that_was_measured(alone: Advice, tmp_path: Path) -> None:
    write_folder(alone, tmp_path, None)
    loaded = TextClassifier.load(tmp_path / "model")
    assert loaded.predict(alone.task.test) == list(alone.small.answers)
    assert set(loaded.classes_) == set(NASTY)


@pytest.mark.parametrize("tuned", [False, True])
def test_the_distilled_student_is_served_from_the_folder_wherever_it_lies(
    advice: Advice, encoder: Encoder, tmp_path: Path, tuned: bool
) -> None:
    assert advice.distilled is not None
    one, task = advice.distilled, advice.task
    answers: list[str | None] = list(one.candidate.answers)
    if tuned:
        student = EncoderStudent(encoder, alpha=1.0, fit=Fit(steps=20, rate=1e-3, dtype="float32"), held_out=0.0)
        student.fit(task.train, task.train_labels)
        answers = list(student.predict(task.test))
        advice = dataclasses.replace(advice, distilled=dataclasses.replace(one, student=student), classifier=student)
    write_folder(advice, tmp_path / "a", None)
    (tmp_path / "a").rename(tmp_path / "b")
    there = Collaboration.load(tmp_path / "b" / "pilotfish.toml")
    found = [ask(there.model("distilled"), text).text for text in task.test[:20]]
    assert found == answers[:20]
    if tuned:
        assert [ask(there.model("small"), text).text for text in task.test[:20]] == found
    told = strictly(tmp_path / "b" / "advice.json")
    assert told["distilled"]["candidate"] == "distilled"
    assert told["distilled"]["gain_over_twin"]["value"] == pytest.approx(one.gain.value)
    candidate = next(entry for entry in told["candidates"] if entry["key"] == "distilled")
    assert candidate["teacher_calls"] == one.lesson.teacher.bill.calls > 0
    assert candidate["usd_once"] == pytest.approx(one.lesson.teacher.bill.cost)


def test_the_toml_parses_and_holds_hostile_labels_unchanged(advice: Advice, tmp_path: Path) -> None:
    write_folder(advice, tmp_path, LARGE)
    data = tomllib.loads((tmp_path / "pilotfish.toml").read_text(encoding="utf-8"))
    assert data["default"] == "cascade"
    models = data["models"]
    assert models["small"] == {"use": "classifier", "path": "model"}
    assert sorted(models["large"]["labels"]) == sorted(NASTY)
    assert models["large"]["model"] == "large-model"
    assert models["large-model"] == {key: value for key, value in LARGE.items() if value is not None}
    assert models["cascade"]["accept"] == {"score": "confidence", "above": pytest.approx(threshold(advice))}
    assert models["distilled"]["path"] == "distilled"
    assert "bad" not in data


def threshold(advice: Advice) -> float:
    assert advice.threshold is not None
    return advice.threshold.above


def test_the_written_cascade_runs_and_decides_as_measured(advice: Advice, tmp_path: Path) -> None:
    """The small part of it: which rows it would defer."""
    write_folder(advice, tmp_path, LARGE)
    above = tomllib.loads((tmp_path / "pilotfish.toml").read_text(encoding="utf-8"))["models"]["cascade"]["accept"]
    loaded = TextClassifier.load(tmp_path / "model")
    sure = loaded.predict_proba(advice.task.test).max(axis=1)
    assert float((sure < above["above"]).mean()) == pytest.approx(advice.verdict.chosen.details["deferred"])


def test_few_shot_examples_are_beside_the_file_only_where_they_are_used(advice: Advice, tmp_path: Path) -> None:
    (tmp_path / "examples.jsonl").write_text("old\n")
    write_folder(advice, tmp_path, LARGE)
    assert advice.judged is not None and not advice.judged.labeller.examples
    assert not (tmp_path / "examples.jsonl").exists()
    labeller = dataclasses.replace(advice.judged.labeller, examples=[("a text", NASTY[1])])
    shot = dataclasses.replace(advice, judged=dataclasses.replace(advice.judged, labeller=labeller))
    write_folder(shot, tmp_path, LARGE)
    assert json.loads((tmp_path / "examples.jsonl").read_text()) == {"text": "a text", "label": NASTY[1]}
    written = tomllib.loads((tmp_path / "pilotfish.toml").read_text(encoding="utf-8"))
    assert written["models"]["large"]["examples"] == "examples.jsonl"


def test_a_choice_that_needs_a_large_model_without_its_table(advice: Advice, tmp_path: Path) -> None:
    write_folder(advice, tmp_path, None)
    text = (tmp_path / "pilotfish.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    assert data["default"] == "small"
    assert set(data["models"]) == {"small", "distilled"}
    assert "needs the large model" in text


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("a bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["page", "_toml", "_answers", "plain"])
def test_nothing_is_left_that_looks_finished_when_a_step_fails(
    advice: Advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    write_folder(advice, tmp_path, LARGE)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(folder, step, fail)
    with pytest.raises(DataError if isinstance(error, OSError) else type(error)):
        write_folder(advice, tmp_path, LARGE)
    assert not (tmp_path / "advice.json").exists()
    monkeypatch.undo()
    write_folder(advice, tmp_path, LARGE)
    strictly(tmp_path / "advice.json")


def test_a_second_advice_replaces_the_first(advice: Advice, alone: Advice, tmp_path: Path) -> None:
    write_folder(advice, tmp_path / "a", LARGE)
    write_folder(alone, tmp_path / "a", None)
    write_folder(alone, tmp_path / "b", None)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert not (tmp_path / "a" / "distilled").exists()
    assert strictly(tmp_path / "a" / "advice.json") == strictly(tmp_path / "b" / "advice.json")


def test_kept_answers_of_the_large_model_outlive_the_replacing(advice: Advice, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "large.jsonl").write_text("{}\n")
    write_folder(advice, tmp_path, LARGE)
    assert (tmp_path / "work" / "large.jsonl").read_text() == "{}\n"


def test_a_folder_that_cannot_be_one(advice: Advice, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write the advice"):
        write_folder(advice, tmp_path / "file", LARGE)


def test_a_disk_that_fills_up_under_the_weights_is_the_same_error(
    advice: Advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(TextClassifier, "save", full)
    with pytest.raises(DataError, match=r"cannot write the advice into .*: No space left on device"):
        write_folder(advice, tmp_path, LARGE)
    assert not (tmp_path / "advice.json").exists()


def test_numbers_that_are_not_finite_become_null() -> None:
    numbers = [math.inf, -math.inf, math.nan, 1.5]
    value = {"a": numbers, "b": np.float64("nan"), "c": np.int64(3), "d": (np.bool_(True),)}
    assert plain(value) == {"a": [None, None, None, 1.5], "b": None, "c": 3, "d": [True]}
    with pytest.raises(TypeError, match="set"):
        plain({"a": {1, 2}})


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    TEXT | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_tables_come_back_from_a_toml_parser_as_they_were(values: dict[str, Any]) -> None:
    text = "\n".join(table("models.one", values))
    assert tomllib.loads(text) == {"models": {"one": values}}


def test_numpy_numbers_in_a_table_are_plain_numbers() -> None:
    text = "\n".join(table("t", {"a": np.float64(0.5), "b": np.int64(2), "c": None, "d": {"e": None}}))
    assert tomllib.loads(text) == {"t": {"a": 0.5, "b": 2, "d": {}}}
