"""A teacher's answers as training rows: the format, the filters, and what a kill or a second call costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.distill.blackbox import Agreeing, Best, BestByJudge, Graded, JudgeGrades, Verified, answers
from pilotfish.distill.rows import examples_of
from pilotfish.errors import ConfigError, DataError, UpstreamError
from pilotfish.infer.cascade import Cascade
from pilotfish.measure.checks import FitsSchema, Matches
from pilotfish.model import Price, Reply, Request
from pilotfish.models.local import LocalModel
from pilotfish.rows._row import Row
from tests.fakes import ScriptedModel

ROWS: list[Row] = [
    {"text": "2 + 2", "gold": "4"},
    {"text": "3 + 4", "gold": "7"},
    {"text": "1 + 1", "gold": "2", "weight": 0.5},
]


def by_seed(script: dict[str, list[str]]) -> ScriptedModel:
    """A model that says another thing for every seed."""
    return ScriptedModel(lambda request: script[request.prompt][request.seed or 0], price=Price(1.0, 2.0), logprob=-0.5)


SAMPLES = {"2 + 2": ["4", "It is 4.", "5"], "3 + 4": ["7", "8", "9"], "1 + 1": ["two", "", "3"]}


def test_rows_are_what_every_trainer_takes(tmp_path: Path, tiny_lm: LocalModel) -> None:
    teacher = ScriptedModel({"Add: 2 + 2": "4", "Add: 3 + 4": "7", "Add: 1 + 1": "2"}, price=Price(1e6, 1e6))
    taught = answers(ROWS, teacher, tmp_path, prompt="Add: {text}", system="Be brief.", progress=False)
    assert taught.rows[0] == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Add: 2 + 2"}],
        "answer": "4",
        "weight": 1.0,
        "source": ROWS[0],
    }
    assert [row["weight"] for row in taught.rows] == [1, 1, 0.5]
    # A source column called `text` must not turn the row into a plain text to learn.
    examples, refused = examples_of(tiny_lm.tokenizer, taught.rows, 128, name="tiny")
    assert not refused
    assert [tiny_lm.tokenizer.decode(one.ids[one.start : -1]) for one in examples] == ["4", "7", "2"]
    assert [one.weight for one in examples] == [1, 1, 0.5]
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == taught.rows
    assert json.loads((tmp_path / "report.json").read_text())["kept"] == 3
    bill = taught.report.bill
    assert (bill.calls, bill.cost) == (3, float(bill.tokens_in + bill.tokens_out))


def test_a_second_call_and_other_filters_ask_nothing(tmp_path: Path) -> None:
    teacher = by_seed(SAMPLES)
    ask: dict[str, Any] = {"prompt": "{text}", "samples": 3, "temperature": 1.0, "seed": 0, "progress": False}
    first = answers(ROWS, teacher, tmp_path, **ask)
    assert teacher.calls == 9
    assert {request.seed for request in teacher.requests} == {0, 1, 2}
    assert first.report.dropped == {"empty answer": 1}
    again = answers(ROWS, teacher, tmp_path, keep=[Graded("last-number", "gold")], balanced=True, **ask)
    assert teacher.calls == 9
    assert again.report.bill == first.report.bill
    assert [(row["answer"], row["weight"]) for row in again.rows] == [("4", 0.5), ("It is 4.", 0.5), ("7", 1.0)]
    assert again.report.dropped == {"empty answer": 1, "grade too low": 5}
    assert (again.report.kept, again.report.kept_rows, again.report.answers) == (3, 2, 9)


def test_the_majority_is_kept_where_it_is_large_enough(tmp_path: Path) -> None:
    keep = [Agreeing(0.6, answer="last-number")]
    taught = answers(
        ROWS, by_seed(SAMPLES), tmp_path, prompt="{text}", samples=3, temperature=1.0, seed=0, keep=keep, progress=False
    )
    # Two of three say 4; of three different ones none is a majority; "two" is no number, so one of two says 3.
    assert [row["answer"] for row in taught.rows] == ["4", "It is 4."]
    assert taught.report.dropped == {"empty answer": 1, "disagrees with the majority": 1, "too few agree": 5}


@pytest.mark.parametrize(
    ("check", "kept"),
    [
        (FitsSchema({"type": "object", "required": ["label"]}), ['{"label": "a"}']),
        (Matches("^spam$"), ["spam"]),
        (lambda request, reply: len(reply.text) > 5 and "Say" in request.prompt, ['{"label": "a"}', '{"other": 1}']),
    ],
)
def test_checks_of_a_cascade_verify_here_too(tmp_path: Path, check: Any, kept: list[str]) -> None:
    said = ['{"label": "a"}', "spam", '{"other": 1}']
    teacher = ScriptedModel(lambda request: said[request.seed or 0])
    taught = answers(
        [{"x": 1}], teacher, tmp_path, prompt="Say {x}", samples=3, temperature=1, seed=0, keep=[Verified(check)],
        progress=False,
    )  # fmt: skip
    assert [row["answer"] for row in taught.rows] == kept
    assert taught.report.dropped["fails the check"] == 3 - len(kept)


async def _slow_check(request: Request, reply: Reply) -> bool:
    return reply.text == "7"


def test_an_async_check_and_a_row_without_gold(tmp_path: Path) -> None:
    rows: list[Row] = [{"text": "3 + 4", "gold": "7"}, {"text": "2 + 2"}]
    ask: dict[str, Any] = {"prompt": "{text}", "temperature": 1.0, "seed": 0, "progress": False}
    assert [row["answer"] for row in answers(rows, by_seed(SAMPLES), tmp_path, keep=[Verified(_slow_check)], **ask).rows] == ["7"]  # fmt: skip  # noqa: E501
    graded = answers(rows, by_seed(SAMPLES), tmp_path, keep=[Graded("text", "gold")], **ask)
    assert [row["answer"] for row in graded.rows] == ["7"]
    assert graded.report.dropped == {"no right answer": 1}


def test_a_collaboration_teaches_and_all_its_calls_are_paid(tmp_path: Path) -> None:
    small = ScriptedModel({"2 + 2": "4", "3 + 4": "I think 8"}, name="small", price=Price(1e6, 0))
    large = ScriptedModel({"3 + 4": "7"}, name="large", price=Price(10e6, 0))
    taught = answers(ROWS[:2], Cascade(small, large, Matches("^[0-9]+$")), tmp_path, prompt="{text}", progress=False)
    assert [row["answer"] for row in taught.rows] == ["4", "7"]
    assert (taught.report.bill.calls, taught.report.bill.cost) == (3, 3 + 3 + 30)


def test_equal_answers_are_one_row_that_weighs_as_much(tmp_path: Path) -> None:
    teacher = by_seed({"2 + 2": ["4", "5", "4", "4"]})
    ask: dict[str, Any] = {"prompt": "{text}", "samples": 4, "temperature": 1.0, "seed": 0, "progress": False}
    rows = answers(ROWS[:1], teacher, tmp_path, **ask).rows
    assert [(row["answer"], row["weight"]) for row in rows] == [("4", 3.0), ("5", 1.0)]
    rows = answers(ROWS[:1], teacher, tmp_path, balanced=True, **ask).rows
    assert [(row["answer"], row["weight"]) for row in rows] == [("4", 0.75), ("5", 0.25)]


def test_best_of_n(tmp_path: Path) -> None:
    ask: dict[str, Any] = {"prompt": "{text}", "samples": 3, "temperature": 1.0, "seed": 0, "progress": False}
    sure = {"4": -0.9, "It is 4.": -0.1, "5": -0.2, "7": -0.4, "8": -0.3, "9": -0.3}
    teacher = by_seed(SAMPLES)
    teacher._logprob = lambda request, text: sure[text]
    by_sureness = answers(ROWS[:2], teacher, tmp_path / "a", keep=[Best()], **ask)
    assert [row["answer"] for row in by_sureness.rows] == ["It is 4.", "8"]
    longest = answers(ROWS[:2], teacher, tmp_path / "b", keep=[Best(lambda said, row: len(said), least=2)], **ask)
    assert [row["answer"] for row in longest.rows] == ["It is 4."]
    assert longest.report.dropped == {"not among the best": 5}
    dumb = ScriptedModel("4")
    assert answers(ROWS[:1], dumb, tmp_path / "c", keep=[Best()], **ask).report.dropped == {"no score": 3}


def test_best_by_a_judge_which_is_paid_once(tmp_path: Path) -> None:
    def judged(request: Request) -> str:
        answer = request.prompt.rpartition("Answer: ")[2]
        return {"4": "Right. Grade: 9", "It is 4.": "**Grade: 10**", "5": "Wrong. Grade: 2", "7": "8/10"}.get(
            answer, "grade: 99"
        )

    teacher, judge = by_seed(SAMPLES), ScriptedModel(judged, price=Price(1e6, 0))
    keep = [BestByJudge(JudgeGrades(judge), least=3)]
    for _ in range(2):
        taught = answers(
            ROWS[:2], teacher, tmp_path, prompt="{text}", samples=3, temperature=1.0, seed=0, keep=keep, progress=False
        )
        assert [row["answer"] for row in taught.rows] == ["It is 4.", "7"]
        assert taught.report.dropped == {"not among the best": 2, "no score": 2}
        assert judge.calls == 6
        assert taught.report.bill.calls == 12
    assert "from 1 (useless) to 10 (perfect)" in judge.requests[0].prompt


def test_what_is_no_whole_answer_is_dropped_and_counted(tmp_path: Path) -> None:
    rows: list[Row] = [{"text": "a"}, {"text": "b"}, {"text": "c"}, {"other": 1}]
    teacher = ScriptedModel({"a": Reply("half an ans", finish_reason="length"), "b": Reply("fine")})
    taught = answers(rows, teacher, tmp_path, prompt="{text}", progress=False)
    assert [row["answer"] for row in taught.rows] == ["fine"]
    assert taught.report.dropped == {"cut at max_tokens": 1}
    assert taught.report.unanswered == {"scripted": 1}
    assert taught.report.refused == {"no column 'text'; known": 1}
    assert "1 cut at max_tokens" in str(taught.report)


def test_rows_ask_for_themselves_and_equal_questions_are_asked_once(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"prompt": "hi"},
        {"prompt": "hi", "id": 2},
        {"messages": [{"role": "user", "content": "ho"}]},
        {"x": 1},
    ]
    teacher = ScriptedModel({"hi": "1", "ho": "2"})
    taught = answers(rows, teacher, tmp_path, progress=False)
    assert [row["answer"] for row in taught.rows] == ["1", "1", "2"]
    assert teacher.calls == taught.report.bill.calls == 2
    assert taught.report.refused == {"no question": 1}
    with pytest.raises(DataError, match="no row gives a question"):
        answers([{"x": 1}], teacher, tmp_path / "b", progress=False)
    with pytest.raises(ConfigError, match="temperature above 0"):
        answers(rows, teacher, tmp_path / "c", samples=2, progress=False)
    with pytest.raises(ConfigError, match="no such setting"):
        answers(rows, teacher, tmp_path / "d", max_tokns=2, progress=False)


def test_an_endpoint_that_fails_is_asked_again_for_those_rows_only(tmp_path: Path) -> None:
    teacher = ScriptedModel("ok", fail_first=1, error=lambda: UpstreamError("down", status=500))
    rows: list[Row] = [{"prompt": f"q{i}"} for i in range(5)]
    first = answers(rows, teacher, tmp_path, progress=False)
    assert (first.report.again, first.report.kept) == (1, 4)
    second = answers(rows, teacher, tmp_path, progress=False)
    assert (second.report.again, second.report.kept, teacher.calls) == (0, 5, 6)


def test_a_judge_is_asked_about_new_answers_alone(tmp_path: Path) -> None:
    teacher = ScriptedModel("ok", fail_first=1, error=lambda: UpstreamError("down", status=500))
    judge = ScriptedModel("Grade: 7", fail_first=1, error=lambda: UpstreamError("down", status=500))
    rows: list[Row] = [{"prompt": f"q{i}"} for i in range(5)]
    keep = [BestByJudge(JudgeGrades(judge))]
    first = answers(rows, teacher, tmp_path, keep=keep, progress=False)
    assert (first.report.again, first.report.kept) == (2, 3)
    second = answers(rows, teacher, tmp_path, keep=keep, progress=False)
    assert (second.report.again, second.report.kept, teacher.calls, judge.calls) == (0, 5, 6, 6)
    sifted = [Verified(lambda request, reply: request.prompt != "q3"), *keep]
    assert answers(rows, teacher, tmp_path, keep=sifted, progress=False).report.kept == 4
    assert (teacher.calls, judge.calls) == (6, 6)
