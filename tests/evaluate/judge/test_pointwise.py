"""Judges of single answers: what they are asked, what is read, and that nothing else is ever taken for a score."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError, UpstreamError
from pilotfish.evaluate.judge import Pointwise, Rubric
from pilotfish.model import Reply, Request
from pilotfish.models.local import LocalModel
from tests.fakes import ScriptedModel

RUBRIC = Rubric({"facts": "Is it true?", "tone": "Is it kind?"}, 1, 10, {1: "not at all", 10: "wholly"})
ONE = Rubric.of("Is it true?", low=1, high=10)


def judge(script: Any, rubric: Rubric = ONE, **how: Any) -> Pointwise:
    return Pointwise(model=ScriptedModel(script), rubric=rubric, **how)


def says(said: Any) -> Callable[[Request], str | Reply]:
    """A judge that says this of every answer, whatever it holds."""
    return lambda request: said if isinstance(said, str | Reply) else json.dumps(said)


def test_several_criteria_are_one_question_and_their_mean_is_the_score() -> None:
    one = judge(says({"facts": 10, "tone": 3}), RUBRIC)
    told = one(["Where is Paris?", "2 + 2?"], ["In France.", "5"])
    assert told.scores.values.tolist() == [6.5, 6.5]
    assert told.scores.parts["facts"].tolist() == [10, 10] and told.scores.parts["tone"].tolist() == [3, 3]
    assert told.missing.total() == 0 and told.rows == 2 and told.column == [6.5, 6.5]
    assert isinstance(one.model, ScriptedModel) and one.model.calls == 2
    assert one.name == "judge scripted (facts, tone, 1 to 10; answer)" == told.name
    request = one.model.requests[0]
    form: Any = request.response_format
    assert form["json_schema"]["schema"]["required"] == ["facts", "tone"]
    assert form["json_schema"]["schema"]["properties"]["facts"] == {"enum": list(range(1, 11))}
    for part in ("- facts: Is it true?", "1 is not at all; 10 is wholly", "Where is Paris?", "In France."):
        assert part in request.prompt
    assert "right answer" not in request.prompt


def test_a_criterion_a_question() -> None:
    def told(request: Request) -> str:
        return '{"facts": 4}' if "- facts" in request.prompt else '{"tone": 8}'

    one = judge(told, RUBRIC, together=False)
    assert one(["q"], ["a"]).scores.values.tolist() == [6.0]
    assert isinstance(one.model, ScriptedModel) and one.model.calls == 2


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("On the scale from 1 to 10 I would say it is good.", "no JSON in the reply"),
        ("The task has 7 steps. 7", "no JSON in the reply"),
        ('{"grade": 7}', "no whole number for a criterion"),
        ('{"score": "7"}', "no whole number for a criterion"),
        ('{"score": true}', "no whole number for a criterion"),
        ('{"score": 6.5}', "no whole number for a criterion"),
        ('{"score": null}', "no whole number for a criterion"),
        ('{"score": NaN}', "no whole number for a criterion"),
        ('{"score": Infinity}', "no whole number for a criterion"),
        ('{"score": 1' + "0" * 400 + "}", "a number off the scale"),
        ('{"score": 1' + "0" * 5000 + "}", "no JSON in the reply"),
        ('{"score": 11}', "a number off the scale"),
        ('{"score": 0}', "a number off the scale"),
        ("", "empty answer"),
        (Reply('{"score": 1', finish_reason="length"), "cut at max_tokens"),
    ],
)
def test_what_is_no_score_is_none_and_is_counted(said: Any, why: str) -> None:
    told = judge(says(said))(["Name 3 of the 10 rules", "q"], ["8", "9"])
    assert told.missing == {why: 2} and len(told.scores) == 0 and told.column == [None, None]
    assert told.told is not None and told.told.value == 0
    with pytest.raises(DataError):
        told.mean()


def test_ten_is_not_one_and_the_last_object_is_what_is_concluded() -> None:
    assert judge(says({"score": 10}))(["q"], ["a"]).scores.values.tolist() == [10]
    quoted = 'The answer says {"score": 1}, which is no matter. So: ```json\n{"score": 10}\n```'
    assert judge(says(quoted))(["q"], ['{"score": 1}']).scores.values.tolist() == [10]


def test_a_failed_call_is_no_grade_and_is_asked_again(tmp_path: Path) -> None:
    def told(request: Request) -> str | Exception:
        return UpstreamError("down", status=500) if "bad" in request.prompt else '{"score": 9}'

    one = judge(told, store=tmp_path / "deep" / "judged.sqlite")
    found = one(["q", "q", "q"], ["good", "bad", "good too"])
    assert found.column == [9, None, 9] and found.missing == {"no answer": 1}
    assert found.why == {1: "no answer: down"} and found.later == {1}
    assert found.columns("j")[1] == {"j": None, "j.note": "no answer: down"}
    assert found.places.tolist() == [0, 2] and found.mean().value == 9
    assert found.mean(groups=["a", "b", "a"]).n == 1
    again = judge(says({"score": 2}), store=tmp_path / "deep" / "judged.sqlite")
    assert again(["q", "q", "q"], ["good", "bad", "good too"]).column == [9, 2, 9]
    assert isinstance(again.model, ScriptedModel) and again.model.calls == 1


@given(text=st.text(st.sampled_from('{}answer task rubric form"\\ 7\n'), max_size=40))
def test_braces_in_an_answer_never_break_the_question(text: str) -> None:
    one = judge(says({"score": 3}))
    plain = one.requests("TASK", "ANSWER")[0].prompt
    assert one.requests("TASK", text)[0].prompt == plain.replace("ANSWER", text)
    assert one.requests(text, "ANSWER")[0].prompt == plain.replace("TASK", text)


def test_right_answers_are_shown() -> None:
    one = judge(says({"score": 3}))
    assert one(["q"], ["a"], ["{answer} 42"]).column == [3]
    assert isinstance(one.model, ScriptedModel)
    assert "### A right answer, to compare with\n{answer} 42" in one.model.requests[0].prompt
    with pytest.raises(ConfigError, match=r"needs the place \{reference\}"):
        judge(says(""), prompt="{rubric}{task}{answer}{form}")(["q"], ["a"], ["r"])


def test_samples_are_averaged_and_the_ones_without_a_score_are_told() -> None:
    said = iter(['{"score": 4}', '{"score": 8}', "no idea", '{"score": 9}'])
    one = judge(lambda request: next(said), samples=4, settings={"temperature": 0.7}, concurrency=1)
    told = one(["q"], ["a"])
    assert told.scores.values[0] == pytest.approx(7)
    assert list(told.scores.notes) == ["samples without a score: 1"]
    assert told.shares["score"][0, [3, 7, 8]] == pytest.approx([1 / 3] * 3)


def test_a_local_model_gives_the_expected_score(tiny_lm: LocalModel) -> None:
    """By hand: the softmax of log p over the scale, 10 ended as 1 is; the sum of s p(s)."""
    one = Pointwise(model=tiny_lm, rubric=RUBRIC)
    assert one.by_probability
    tasks, answers = ["what is the cat", "a dog"], ["the bird sang", "my card has not arrived"]
    told = one(tasks, answers)
    scale = np.arange(1, 11)
    for row in range(2):
        for at, name in enumerate(RUBRIC.criteria):
            context = tiny_lm.render(one.requests(tasks[row], answers[row])[at])
            logs = np.array(
                [
                    sum(part.total for part in tiny_lm.score([(context, f"{number}{tiny_lm.tokenizer.eos_token}")]))
                    for number in scale
                ]
            )
            shares = np.exp(logs - np.logaddexp.reduce(logs))
            assert told.shares[name][row] == pytest.approx(shares, abs=1e-4)
            assert told.scores.parts[name][row] == pytest.approx(shares @ scale, abs=1e-3)
    assert told.scores.values == pytest.approx(np.mean([*told.scores.parts.values()], axis=0))


def test_a_local_model_cannot_leave_the_schema(tiny_lm: LocalModel) -> None:
    told = Pointwise(model=tiny_lm, rubric=RUBRIC, by="answer")(["q"], ["a"])
    assert told.missing.total() == 0 and 1 <= told.scores.values[0] <= 10
    assert told.scores.parts["facts"][0] == int(told.scores.parts["facts"][0])


def test_what_is_too_long_has_no_score(tiny_lm: LocalModel) -> None:
    told = Pointwise(model=tiny_lm, rubric=ONE)(["q", "q"], ["a", "long " * 2000])
    assert told.missing == {"no answer": 1} and told.places.tolist() == [0]
    assert "too long" in told.why[1] and not told.later


def test_probabilities_are_stored_too(tiny_lm: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Pointwise(model=tiny_lm, rubric=RUBRIC, store=tmp_path / "s.sqlite")
    first = one(["q", "r"], ["a", "b"])
    monkeypatch.setattr(LocalModel, "choices", lambda *_, **__: pytest.fail("asked again"))
    again = one(["q", "r"], ["a", "b"])
    np.testing.assert_array_equal(again.scores.values, first.scores.values)


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match="does not tell the probability"):
        judge("x", by="probability")
    with pytest.raises(ConfigError, match="several samples"):
        judge("x", samples=3)
    with pytest.raises(ConfigError, match=r"needs the place \{form\}"):
        judge("x", prompt="{rubric} {task} {answer}")
    with pytest.raises(ConfigError, match="goes by"):
        judge("x", by="guess")
    with pytest.raises(DataError, match="2 tasks, 1 answers"):
        judge("x")(["a", "b"], ["c"])
    with pytest.raises(DataError, match="row 1: answers must be texts, not NoneType"):
        judge("x")(["a"], [None])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="has criteria by name"):
        Rubric({})
    with pytest.raises(ConfigError, match="called 'reason'"):
        Rubric({"reason": "x"})
    with pytest.raises(ConfigError, match="not 5 to 5"):
        Rubric({"a": ""}, 5, 5)
    with pytest.raises(ConfigError, match="a hundred at most"):
        Rubric.of("x", low=0, high=101)
    with pytest.raises(ConfigError, match="7 is not on the scale"):
        Rubric.of("x", meanings={7: "much"})


def test_no_rows_are_no_verdicts() -> None:
    told = judge("x")([], [])
    assert told.rows == 0 and told.told is None and told.column == []


def test_a_reason_comes_first_and_a_wide_scale_is_a_range() -> None:
    one = judge(says({"reason": "it says 3", "score": 77}), Rubric.of("x", low=0, high=100), explain=True)
    told = one(["q"], ["a"])
    assert told.column == [77]
    assert isinstance(one.model, ScriptedModel)
    form: Any = one.model.requests[0].response_format
    assert list(form["json_schema"]["schema"]["properties"]) == ["reason", "score"]
    assert form["json_schema"]["schema"]["properties"]["score"] == {"type": "integer", "minimum": 0, "maximum": 100}
    plain = judge(says({"score": 7}), constrained=False)
    assert plain(["q"], ["a"]).column == [7]
    assert isinstance(plain.model, ScriptedModel) and plain.model.requests[0].response_format is None
