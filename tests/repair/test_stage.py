"""Plug-ins over stored answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError
from pilotfish.repair import Abstain, Remove, Rewrite
from pilotfish.repair.plugins import Calculation, Personal, Repetition
from pilotfish.repair.stage import Repairing
from pilotfish.rows import read_output, run
from tests.fakes import ScriptedModel
from tests.repair.test_repaired import Finds

ROWS: list[dict[str, Any]] = [
    {"id": 1, "answer": "So 2 + 2 = 5. Mail a@b.org."},
    {"id": 2, "answer": "Fine."},
    {"id": 3, "answer": None},
]


def test_rows_come_out_mended_with_what_was_changed(tmp_path: Path) -> None:
    report = run(ROWS, Repairing([Calculation(), Personal()]), tmp_path, progress=False)
    one, two = read_output(tmp_path)
    assert one["repaired"] == "So 2 + 2 = 4. Mail <EMAIL>."
    assert one["repaired_edits"] == [
        {"plugin": "calculation", "kind": "calculation", "start": 11, "end": 12, "after": "4"}
        | {"why": "2 + 2 = 4, not 5", "score": 1.0},
        {"plugin": "personal", "kind": "email", "start": 5, "end": 12, "after": "<EMAIL>"}
        | {"why": "a place of kind email", "score": 1.0},
    ]
    assert "a@b.org" not in json.dumps(one["repaired_edits"])
    assert (two["repaired"], two["repaired_edits"], two["repaired_withdrawn"]) == ("Fine.", [], False)
    assert report.rejected == 1
    assert "not text" in (tmp_path / "rejects.jsonl").read_text()
    totals = report.stages[0].totals
    assert (totals["edits by calculation"], totals["answers changed"]) == (1, 1)


def test_the_evidence_and_the_question_are_told_and_calls_are_counted(tmp_path: Path) -> None:
    plugin = Finds(way=Rewrite(ScriptedModel("A good one.", name="writer")))
    rows = [{"said": "A bad one. No 7 bad.", "asked": "who?", "known": ["x", "", "y"]}]
    stage = Repairing([plugin], answer="said", question="asked", context="known", into="said")
    report = run(rows, stage, tmp_path, progress=False)
    (row,) = read_output(tmp_path)
    assert row["said"] == "A good one. No 7 bad."
    assert plugin.seen[0][1].passages == ("x", "y")
    assert plugin.seen[0][1].question == "who?"
    assert plugin.seen[0][1].row["asked"] == "who?"
    assert report.stages[0].totals["calls"] == 2
    assert report.stages[0].totals["edits of finds refused for numbers or code"] == 1


def test_answers_may_be_taken_back_and_columns_are_not_lost(tmp_path: Path) -> None:
    run([{"answer": "So bad."}], Repairing([Finds(way=Abstain("No."))]), tmp_path / "a", progress=False)
    (row,) = read_output(tmp_path / "a")
    assert (row["repaired"], row["repaired_withdrawn"]) == ("No.", True)
    with pytest.raises(ConfigError, match="already have a column 'repaired'"):
        run([{"answer": "x", "repaired": "y"}], Repairing([Finds()]), tmp_path / "b", progress=False)
    with pytest.raises(ConfigError, match="no plug-in"):
        Repairing([])


def test_another_setting_is_another_run(tmp_path: Path) -> None:
    def told(stage: Repairing) -> str:
        return json.dumps(stage.config())

    same = told(Repairing([Repetition()]))
    assert told(Repairing([Repetition()])) == same
    assert told(Repairing([Repetition(times=4)])) != same
    assert told(Repairing([Repetition(way=Remove())])) != same
    assert told(Repairing([Repetition()], most=100)) != same
