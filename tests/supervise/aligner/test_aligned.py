"""A corrector behind a model: what it is asked, what is kept of it, and the rows that teach one."""

from __future__ import annotations

import asyncio

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Reply, Request, ToolCall
from pilotfish.rows._describe import known_as
from pilotfish.supervise.aligner import TEMPLATE, Aligned, corrector_rows
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
