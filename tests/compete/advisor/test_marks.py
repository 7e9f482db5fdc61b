"""What answers are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.compete.advisor.judged import JudgeMarks
from pilotfish.compete.advisor.marks import fields_f1, marks_by
from pilotfish.compete.advisor.paying import SpentError
from pilotfish.compete.advisor.task import AnswerTask, answer_task
from pilotfish.compete.watch import Budget
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Call, Price, Reply, Request, Trace, WholeReplies
from tests.fakes import ScriptedModel

WORDS = ["apple", "river", "stone", "cloud", "lantern", "copper", "violet", "thunder", "meadow", "harbour", "falcon"]


def rows(count: int = 40) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        a, b, c = rng.choice(WORDS, 3, replace=False)
        found.append({"q": f"{a} {i * 37 % 101} {b} {c} {i}", "a": str(a), "city": str(b), "names": [str(a), str(c)]})
    return found


def task(**how: Any) -> AnswerTask:
    return answer_task(rows(), "generation", prompt="Say: {q}", gold="a", **how)


def test_fields_are_marked_by_pairs() -> None:
    truth = {"name": "Ada Lovelace", "towns": ["London", "Paris"], "age": None}
    assert fields_f1(json.dumps({"name": "ada lovelace.", "towns": ["Paris", "London"], "age": None}), truth) == 1
    # Two right of three told and of three true ones.
    assert fields_f1(json.dumps({"name": "Ada Lovelace", "towns": ["Paris", "Rome"]}), truth) == pytest.approx(4 / 6)
    assert fields_f1("no object", truth) == 0
    assert fields_f1('{"name": null}', {"name": None}) == 1
    assert fields_f1('{"name": "x"}', {"name": None}) == 0
    assert fields_f1('Here: {"name": "Ada Lovelace", "towns": "London"} done', truth) == pytest.approx(4 / 5)


def test_words_numbers_and_own_functions() -> None:
    one = task()
    marks, title = marks_by("word-f1", one)
    right = one.rows[0]["a"]
    assert title == "word F1" and marks([0, 0, 0], [right, f"{right} more", None]).tolist() == [1, 2 / 3, 0]
    assert marks_by("rougeL", one)[0]([0], [right]).tolist() == [1.0]
    assert marks_by("contains", one)[0]([0], [f"it is {right}!"]).tolist() == [1.0]
    with pytest.raises(ConfigError, match="fields"):
        marks_by("fields", one)
    with pytest.raises(ConfigError, match="judge"):
        marks_by("judge", one)
    bare = answer_task(rows(), "generation", prompt="Say: {q}", system="Be brief")
    with pytest.raises(ConfigError, match="gold"):
        marks_by("word-f1", bare)


def test_a_row_without_a_right_answer_is_no_row_to_mark() -> None:
    one = task()
    one.rows[3]["a"] = ""
    with pytest.raises(DataError, match="right answer"):
        marks_by("word-f1", one)[0]([3], ["x"])


class Strict(WholeReplies):
    """Grades by length."""

    name = "strict"
    asked = 0

    async def reply(self, request: Request) -> Reply:
        Strict.asked += 1
        grade = 10 if "long answer" in request.prompt else 1
        return Reply(f"Grade: {grade}", trace=Trace((Call(self.name, "model"),)))


def test_a_judge_s_grades_are_shares_and_are_asked_once(tmp_path: Path) -> None:
    Strict.asked = 0
    one = task()
    marks, _ = marks_by("judge", one, judge=Strict(), folder=tmp_path / "judge")
    assert marks([0, 1, 2], ["a long answer", "short", None]).tolist() == [1.0, 0.0, 0.0]
    assert marks([0, 1], ["a long answer", "short"]).tolist() == [1.0, 0.0]
    assert Strict.asked == 2


def test_what_a_judge_costs_is_taken_from_the_budget(tmp_path: Path) -> None:
    def judging() -> JudgeMarks:
        return JudgeMarks(task(), ScriptedModel(lambda _: "Grade: 10", price=Price(1000, 1000)), tmp_path / "judge")

    marks, budget = judging(), Budget(max_cost=1000.0)
    marks.charge(budget)
    assert marks([0], ["an answer"]).tolist() == [1.0]
    one = budget.spent
    assert one > 0
    marks([0], ["an answer"])
    assert budget.spent == one  # it is kept
    # Another run counts what the first one paid; where the dollars do not do, no answer is marked down for it.
    again, little = judging(), Budget(max_cost=1.5 * one)
    again.charge(little)
    assert little.spent == pytest.approx(one)
    with pytest.raises(SpentError, match="dollars"):
        again([0, 1, 2], ["an answer", "another answer", "a third one"])
    assert little.spent <= 1.5 * one
