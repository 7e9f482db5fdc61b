"""A corrector behind a model: what it is asked, what is kept of it, and the rows that teach one."""

from __future__ import annotations

import asyncio

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Reply, Request, ToolCall
from pilotfish.rows._describe import known_as
from pilotfish.supervise.aligner import SEVERAL, TEMPLATE, Aligned, corrector_rows
from tests.fakes import ScriptedModel


def test_the_corrector_sees_question_and_answer_and_both_are_paid_for() -> None:
    large, small = ScriptedModel("2 + 2 = 5", name="large"), ScriptedModel(" 2 + 2 = 4\n", name="small")
    reply = asyncio.run(Aligned(large, small).reply(Request.of("what is 2 + 2?", max_tokens=9, temperature=1.0)))
    assert reply.text == "2 + 2 = 4"
    assert [call.model for call in reply.trace.calls] == ["large", "small"]
    assert reply.trace.decisions[-1].verdict == "corrected"
    (asked,) = small.requests
    assert asked.prompt == TEMPLATE.format(question="what is 2 + 2?", answer="2 + 2 = 5")
    assert asked.temperature == 0
    assert asked.max_tokens == 512


@pytest.mark.parametrize(
    ("said", "verdict", "text"),
    [
        ("fine", "unchanged", "fine"),
        ("", "kept: the correction is empty", "fine"),
        (Reply("half an ans", finish_reason="length"), "kept: the correction is cut", "fine"),
    ],
)
def test_what_is_no_correction_changes_nothing(said: str | Reply, verdict: str, text: str) -> None:
    reply = ask(Aligned(ScriptedModel("fine"), ScriptedModel([said])), "x")
    assert reply.text == text
    assert reply.trace.decisions[-1].verdict == verdict
    assert reply.usage.calls == 2


def test_tool_calls_and_empty_replies_are_left() -> None:
    small = ScriptedModel("never")
    call = Reply("", tool_calls=(ToolCall("1", "f", "{}"),))
    for said in (call, Reply("")):
        reply = ask(Aligned(ScriptedModel([said]), small), "x")
        assert reply.trace.decisions[-1].verdict == "left"
        assert reply.tool_calls == said.tool_calls
    assert small.calls == 0


def test_another_template_is_another_model_and_must_have_the_answer() -> None:
    one, other = ScriptedModel("x"), ScriptedModel("y")
    assert known_as(Aligned(one, other)) != known_as(Aligned(one, other, "mend: {answer}"))
    for wrong in ("mend it", "mend {answer} of {user}"):
        with pytest.raises(ConfigError, match="template"):
            Aligned(one, other, wrong)
    with pytest.raises(ConfigError, match="max_tokens"):
        Aligned(one, other, max_tokens=0)
    with pytest.raises(ConfigError, match="asks for several"):
        asyncio.run(Aligned(one, other).reply(Request.of("x", n=3)))


def test_rows_that_teach_a_corrector() -> None:
    rows = [{"q": f"q{i}", "a": f"wrong {i}", "c": f"right {i}"} for i in range(10)]
    names = {"question": "q", "answer": "a", "correction": "c"}
    made = corrector_rows(rows, **names, copied=0.3, template="{question}|{answer}")  # type: ignore[arg-type]
    assert len(made) == 13
    assert made[0] == {"messages": [{"role": "user", "content": "q0|wrong 0"}], "answer": "right 0"}
    for row in made[10:]:
        question, answer = row["messages"][0]["content"].split("|")
        assert answer == row["answer"] == f"right {question[1:]}"
    assert made == corrector_rows(
        rows, question="q", answer="a", correction="c", copied=0.3, template="{question}|{answer}"
    )
    assert len(corrector_rows(rows, question="q", answer="a", correction="c", copied=0)) == 10
    with pytest.raises(DataError, match="row 1: column 'c' has no text"):
        corrector_rows([{"q": "x", "a": "y", "c": " "}], question="q", answer="a", correction="c")
    with pytest.raises(DataError, match="row 1"):
        corrector_rows([{"q": "x"}], question="q", answer="a", correction="c")
    with pytest.raises(ConfigError, match="copied"):
        corrector_rows(rows, question="q", answer="a", correction="c", copied=-1)


def test_several_answers_become_one() -> None:
    large = ScriptedModel(["one", "two", "two"], name="large")
    other, small = ScriptedModel("three", name="other"), ScriptedModel("four", name="small")
    made = Aligned(large, small, draws=3, others=(other,))
    reply = ask(made, Request.of("q", seed=4))
    assert reply.text == "four" and reply.trace.decisions[-1].verdict == "corrected, from 4 answers"
    assert sorted(call.model for call in reply.trace.calls) == ["large", "large", "large", "other", "small"]
    assert small.requests[0].prompt == SEVERAL.format(question="q", answer="1. one\n2. two\n3. three")
    assert [one.seed for one in large.requests] == [4, 5, 6] and large.requests[0].temperature is None
    assert [one.metadata.get("sample") for one in large.requests] == [None, 1, 2]
    with pytest.raises(ConfigError, match="draw"):
        Aligned(large, small, draws=0)


@pytest.mark.parametrize(
    ("said", "verdict", "text"),
    [("one", "unchanged", "one"), ("two", "the answer 2 of 2", "two"), ("", "kept: the correction is empty", "one")],
)
def test_one_of_several_may_be_taken(said: str, verdict: str, text: str) -> None:
    reply = ask(Aligned(ScriptedModel(["one", "two"]), ScriptedModel([said]), draws=2), "q")
    assert (reply.text, reply.trace.decisions[-1].verdict) == (text, verdict)
    assert reply.usage.calls == 3


def test_rows_of_several_answers_teach_a_corrector() -> None:
    rows = [{"question": f"q{i}", "answer": ["bad", f"poor {i}", "bad"], "correction": f"right {i}"} for i in range(8)]
    made = corrector_rows(rows, copied=1.0, template=SEVERAL)
    assert made[0]["messages"][0]["content"].endswith("Answers:\n1. bad\n2. poor 0") and made[0]["answer"] == "right 0"
    places = set()
    for row in made[8:]:
        lines = row["messages"][0]["content"].split("Answers:\n")[1].split("\n")
        (place,) = [i for i, line in enumerate(lines) if line.endswith(row["answer"])]
        places.add(place)
    assert len(places) > 1  # no corrector learns that the right one is always the first
    with pytest.raises(DataError, match="row 1: column 'answer' has no text"):
        corrector_rows([{"question": "x", "answer": ["y", ""], "correction": "c"}])
