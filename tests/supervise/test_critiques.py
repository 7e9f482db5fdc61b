"""Corrections and preferences of critiques: what is kept, what is dropped and why; no call is made twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError, DataError, UpstreamError
from pilotfish.model import Reply, Request
from pilotfish.models.judges import JudgeGrades, JudgeReward
from pilotfish.rows import read
from pilotfish.supervise.critiques import critiqued
from tests.fakes import ScriptedModel

ROWS: list[dict[str, Any]] = [
    {"question": "2 + 2?", "answer": "4", "id": 1},
    {"question": "3 + 3?", "answer": "It's 7, idiot."},
    {"question": "4 + 4?", "answer": "8, of course, fool."},
    {"question": "5 + 5?", "answer": "ten {answer}"},
    {"question": "6 + 6?", "answer": "13"},
    {"question": "7 + 7?", "answer": "hm"},
]


def says(request: Request) -> str | Reply:
    text = request.prompt
    if "Critique:" in text:
        if "13" in text:
            return "13"
        if "7, idiot" in text:
            return "It's 6."
        return "Eight."
    if "hm" in text:
        return Reply("cut off in the mid", finish_reason="length")
    if "Answer: 4" in text or "ten {answer}" in text:
        return "Nothing."
    return "It is rude." if "," in text.partition("Answer: ")[2] else "It is wrong."


def test_corrections_and_preferences(tmp_path: Path) -> None:
    model = ScriptedModel(says)
    found = critiqued(ROWS, model, tmp_path, progress=False)
    assert found.corrections == [
        {"question": "2 + 2?", "answer": "4", "critique": "", "correction": "4"},
        {
            "question": "3 + 3?",
            "answer": "It's 7, idiot.",
            "critique": "It is rude.",
            "correction": "It's 6.",
        },
        {
            "question": "4 + 4?",
            "answer": "8, of course, fool.",
            "critique": "It is rude.",
            "correction": "Eight.",
        },
        {"question": "5 + 5?", "answer": "ten {answer}", "critique": "", "correction": "ten {answer}"},
    ]
    assert found.preferences == [
        {"prompt": "3 + 3?", "chosen": "It's 6.", "rejected": "It's 7, idiot."},
        {"prompt": "4 + 4?", "chosen": "Eight.", "rejected": "8, of course, fool."},
    ]
    told = found.report
    assert (told.rows, told.sound, told.corrected) == (6, 2, 2)
    assert told.dropped == {"the correction changes nothing": 1, "no critique": 1}
    assert told.bill.calls == model.calls == 9
    assert list(read(tmp_path / "corrections.jsonl")) == found.corrections
    assert list(read(tmp_path / "preferences.jsonl")) == found.preferences
    again = critiqued(ROWS, model, tmp_path, progress=False)
    assert model.calls == 9
    assert again.preferences == found.preferences
    assert "2 sound, 2 corrected" in str(told)


def test_a_call_that_fails_is_made_by_the_next_run_and_no_other(tmp_path: Path) -> None:
    down = True

    def failing(request: Request) -> str | Reply:
        if down and "4 + 4?" in request.prompt:
            raise UpstreamError("down", status=500)
        return says(request)

    model = ScriptedModel(failing)
    first = critiqued(ROWS, model, tmp_path, progress=False)
    assert first.report.again == 1 and "Run again to ask the 1 that" in str(first.report)
    down = False
    found = critiqued(ROWS, model, tmp_path, progress=False)
    assert [row["chosen"] for row in found.preferences] == ["It's 6.", "Eight."]
    assert sum("4 + 4?" not in one.prompt for one in model.requests) == 7  # each of them once


def test_a_judge_keeps_what_is_better(tmp_path: Path) -> None:
    def short(question: str, answers: Sequence[str]) -> list[float]:
        return [-float(len(answer)) for answer in answers]

    found = critiqued(ROWS, ScriptedModel(says), tmp_path / "a", judge=JudgeReward(short), margin=8, progress=False)
    assert [row["chosen"] for row in found.preferences] == ["Eight."]
    assert found.report.dropped["no better by the judge"] == 1
    grades = {"It's 6.": "Grade: 9", "It's 7, idiot.": "Grade: 2", "Eight.": "I cannot say."}
    judge = ScriptedModel(lambda request: grades.get(request.prompt.rpartition("Answer: ")[2], "Grade: 1"))
    found = critiqued(ROWS, ScriptedModel(says), tmp_path / "b", judge=JudgeGrades(judge), progress=False)
    assert [row["chosen"] for row in found.preferences] == ["It's 6."]
    assert found.report.dropped["no grade"] == 1
    assert found.report.bill.calls == 9 + judge.calls


def test_another_corrects_and_principles_are_drawn(tmp_path: Path) -> None:
    critic, reviser = ScriptedModel(says), ScriptedModel(says)
    how: dict[str, Any] = {"principles": ["Be kind.", "Be right."], "seed": 1, "progress": False}
    critiqued(ROWS, critic, tmp_path / "a", reviser=reviser, **how)
    assert (critic.calls, reviser.calls) == (6, 3)
    drawn = [("Be kind." in one.prompt, "Be right." in one.prompt) for one in critic.requests]
    assert all(sum(both) == 1 for both in drawn)
    assert len(set(drawn)) == 2
    other = ScriptedModel(says)
    critiqued(ROWS, other, tmp_path / "b", **how)
    asked = {one.prompt for one in other.requests if "Critique:" not in one.prompt}
    assert asked == {one.prompt for one in critic.requests}


@pytest.mark.parametrize(
    ("rows", "how", "said"),
    [
        ([], {}, "no answers"),
        ([{"question": "q", "answer": " "}], {}, "row 1: column 'answer' has no text"),
        ([{"question": "q"}], {}, "no column 'answer'"),
        (ROWS, {"critique": "{question}"}, "needs the place {answer}"),
        (ROWS, {"revise": "{question} {answer}"}, "needs the place {critique}"),
        (ROWS, {"critique": "{question} {answer}", "principles": ["x"]}, "need the place {principle}"),
    ],
)
def test_mistakes(tmp_path: Path, rows: list[Any], how: dict[str, Any], said: str) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        critiqued(rows, ScriptedModel(says), tmp_path, progress=False, **how)
