"""Preference pairs: both orders must agree, and what gives no pair is counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pilotfish.distill.blackbox.preferences import JudgePairs, preferences
from pilotfish.errors import ConfigError, ModelError, UpstreamError
from pilotfish.measure.judging import verdict_in
from pilotfish.model import Price, Request
from pilotfish.models.judges import JudgeGrades, JudgeReward
from pilotfish.rows._row import Row
from tests.fakes import ScriptedModel

ROWS: list[Row] = [{"q": "one"}, {"q": "two"}]
SAMPLES = {"one": ["good", "bad", "good", "fine"], "two": ["x", "x", "x", "x"]}
ASK: dict[str, Any] = {"prompt": "{q}", "temperature": 1.0, "seed": 0, "progress": False}
RANK = {"good": 3, "fine": 2, "bad": 1, "A bad": 0}


def student() -> ScriptedModel:
    return ScriptedModel(lambda request: SAMPLES[request.prompt][request.seed or 0], price=Price(1e6, 0))


def parts(request: Request) -> tuple[str, str]:
    _, _, rest = request.prompt.partition("Answer A: ")
    a, _, b = rest.partition("\n\nAnswer B: ")
    return a, b


def fair(request: Request) -> str:
    a, b = parts(request)
    return f"Well. **Better: {'A' if RANK[a] > RANK[b] else 'B'}**"


def test_pairs_that_both_orders_agree_on(tmp_path: Path) -> None:
    judge = ScriptedModel(fair, price=Price(1e6, 0))
    for _ in range(2):
        taught = preferences(ROWS, student(), JudgePairs(judge), tmp_path, **ASK)
        pairs = {(row["chosen"], row["rejected"]) for row in taught.rows}
        assert pairs == {("good", "bad"), ("good", "fine"), ("fine", "bad")}
        assert judge.calls == 6  # three pairs in two orders, and nothing for the second call
    assert taught.rows[0]["messages"] == [{"role": "user", "content": "one"}]
    assert taught.rows[0]["weight"] == 1.0
    assert taught.report.dropped == {"the same answer again": 4, "no other answer to compare with": 1}
    assert (taught.report.kept, taught.report.kept_rows, taught.report.bill.calls) == (3, 1, 8 + 6)


def test_a_judge_that_prefers_the_first_place_teaches_nothing(tmp_path: Path) -> None:
    taught = preferences(ROWS, student(), JudgePairs(ScriptedModel("Better: A")), tmp_path, **ASK)
    assert not taught.rows
    assert taught.report.dropped["the orders disagree"] == 3


@pytest.mark.parametrize(("said", "reason"), [("Better: tie", "tie"), ("I can't say which.", "no verdict")])
def test_ties_and_no_verdicts(tmp_path: Path, said: str, reason: str) -> None:
    taught = preferences(ROWS, student(), JudgePairs(ScriptedModel(said)), tmp_path, **ASK)
    assert not taught.rows
    assert taught.report.dropped[reason] == 3


def test_by_grades_each_answer_is_graded_once(tmp_path: Path) -> None:
    judge = ScriptedModel(lambda request: f"Grade: {RANK[request.prompt.rpartition('Answer: ')[2]]}")
    taught = preferences(ROWS, student(), JudgeGrades(judge, 1, 3), tmp_path / "a", margin=1, **ASK)
    assert [(row["chosen"], row["rejected"]) for row in taught.rows] == [("good", "bad")]
    assert judge.calls == 3
    assert taught.report.dropped["tie"] == 2
    strict = preferences(ROWS, student(), JudgeGrades(judge, 2, 3), tmp_path / "b", **ASK)
    assert [(row["chosen"], row["rejected"]) for row in strict.rows] == [("good", "fine")]
    assert strict.report.dropped["no verdict"] == 2


def test_a_reward_compares_without_a_call(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []

    def reward(question: str, answers: Sequence[str]) -> list[float]:
        asked.append((question, len(answers)))
        return [float(RANK[answer]) for answer in answers]

    taught = preferences(ROWS, student(), JudgeReward(reward), tmp_path / "a", margin=1, **ASK)
    assert [(row["chosen"], row["rejected"]) for row in taught.rows] == [("good", "bad")]
    assert [number for _, number in asked] == [3]  # each answer once, all of a question together
    assert taught.report.dropped["tie"] == 2
    for wrong in (lambda question, answers: [1.0], lambda question, answers: [math.nan] * len(answers)):
        with pytest.raises(ModelError, match="the reward gave"):
            preferences(ROWS, student(), JudgeReward(wrong), tmp_path / "b", **ASK)


def test_pairs_are_drawn_by_their_seed(tmp_path: Path) -> None:
    judge = ScriptedModel(fair)
    drawn = [preferences(ROWS, student(), JudgePairs(judge), tmp_path / str(i), pairs=1, **ASK) for i in range(2)]
    assert len(drawn[0].rows) == 1
    assert drawn[0].rows == drawn[1].rows
    assert judge.calls == 4


def test_settings_are_checked(tmp_path: Path) -> None:
    for wrong in ({"samples": 1}, {"pairs": 0}, {"margin": -1.0}):
        with pytest.raises(ConfigError):
            preferences(ROWS, student(), JudgePairs(student()), tmp_path, **ASK, **wrong)
    with pytest.raises(ConfigError, match="place"):
        JudgePairs(student(), prompt="{task} {a}")
    assert verdict_in("better: a ... no, Better: B") == -1
    assert verdict_in("B.") == -1
    assert verdict_in("Neither is better") is None


@pytest.mark.parametrize("graded", [False, True])
def test_an_answer_that_comes_later_is_compared_then(tmp_path: Path, graded: bool) -> None:
    down = True

    def says(request: Request) -> str:
        if down and request.seed == 1:
            raise UpstreamError("down", status=500)
        return SAMPLES[request.prompt][request.seed or 0]

    one = ScriptedModel(lambda request: f"Grade: {RANK[request.prompt.rpartition('Answer: ')[2]]}")
    pairs = ScriptedModel(fair)
    judge = JudgeGrades(one, 1, 3) if graded else JudgePairs(pairs)
    first = preferences(ROWS[:1], ScriptedModel(says), judge, tmp_path, **ASK)
    assert [(row["chosen"], row["rejected"]) for row in first.rows] == [("good", "fine")]
    assert first.report.again == 1
    down = False
    second = preferences(ROWS[:1], ScriptedModel(says), judge, tmp_path, **ASK)
    assert len(second.rows) == 3 and second.report.again == 0
    assert (one.calls, pairs.calls) == ((3, 0) if graded else (0, 6))
