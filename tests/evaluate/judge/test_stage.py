"""Judges as stages: columns, what has no verdict, what is asked again, and that it goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.evaluate.judge import Judging, Pairwise, Pointwise, Rubric
from pilotfish.model import Request
from pilotfish.rows import run
from pilotfish.rows._row import Row
from pilotfish.rows.run import read_output
from tests.fakes import ScriptedModel

ROWS: list[Row] = [{"q": "q", "a": text, "b": "bad"} for text in ("good", "mute", "down", "bad")]


def told(request: Request) -> str | Exception:
    answer = re.search(r"### (?:The answer|Answer A)\n(.*)\n", request.prompt)
    assert answer is not None
    if answer.group(1) == "down":
        return UpstreamError("down", status=500)
    if "### Answer B" in request.prompt:
        return json.dumps({"better": "A" if answer.group(1) == "good" else "B"})
    return "no idea" if answer.group(1) == "mute" else json.dumps({"score": 5 if answer.group(1) == "good" else 2})


def test_scores_are_columns_and_a_failure_is_asked_again(tmp_path: Path) -> None:
    model = ScriptedModel(told)
    judge = Pointwise(model=model, rubric=Rubric.of("Is it good?"))
    stage = Judging(judge, "q", "a", name="grade", batch_size=2)
    report = run(ROWS, stage, tmp_path / "out", progress=False)
    assert (report.rows_out, report.rejected, report.again) == (3, 1, 1)
    rows = list(read_output(tmp_path / "out"))
    assert [row["grade"] for row in rows] == [5, None, 2] and rows[1]["grade.note"] == "no JSON in the reply"
    assert model.calls == 4
    mended = ScriptedModel('{"score": 4}')
    again = Judging(Pointwise(model=mended, rubric=judge.rubric, progress=False), "q", "a", name="grade", batch_size=2)
    report = run(ROWS, again, tmp_path / "out", progress=False)
    assert (report.rows_out, mended.calls) == (4, 1)
    assert sorted(str(row["grade"]) for row in read_output(tmp_path / "out")) == ["2.0", "4.0", "5.0", "None"]


def test_pairs_are_columns(tmp_path: Path) -> None:
    judge = Pairwise(model=ScriptedModel(told), rubric=Rubric.of("Which is better?"))
    run([ROWS[0], ROWS[3]], Judging(judge, "q", "a", "b"), tmp_path / "out", progress=False)
    rows = list(read_output(tmp_path / "out"))
    assert [(row["judge"], row["judge.preference"]) for row in rows] == [("a", 1.0), ("tie", 0.5)]


def test_another_rubric_is_another_run(tmp_path: Path) -> None:
    model = ScriptedModel('{"score": 4}')
    one, other = (Judging(Pointwise(model=model, rubric=Rubric.of(words)), "q", "a") for words in ("x", "y"))
    assert one.config() != other.config()
    judge = Pointwise(model=model, rubric=Rubric.of("x"), progress=True, store="elsewhere")
    assert Judging(judge, "q", "a").config() == one.config()
    with pytest.raises(ConfigError, match="a task and an answer"):
        Judging(judge, "q")
