"""Questions taken apart by a small model: what is read of it, what the large one is asked, and who is paid."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Message, Reply, Request, ToolCall
from pilotfish.prompt.decompose import TEMPLATE, Decomposed, asked, decomposer_rows, questions_in
from tests.fakes import ScriptedModel

QUESTION = "How old was the king when the war ended?"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1. When was he born?\n2. When did it end?", ["When was he born?", "When did it end?"]),
        ("Sure! These:\n- When was he born?\n- The end of the war", ["When was he born?", "The end of the war"]),
        ("When was he born?\nThat is all.", ["When was he born?"]),
        ("1) When was he born? 2) When did it end?", ["When was he born?", "When did it end?"]),
        ("1. Was he born in 1990. The other one?", ["Was he born in 1990. The other one?"]),
        ("Question 1: Born when?\nStep 2. It ended when?", ["Born when?", "It ended when?"]),
        ("1. Born when?\n2. born WHEN\n3. How old was the king, when the war ended?", ["Born when?"]),
        ("None.", []),
        ("No sub-questions are needed", []),
        ("1. none", []),
        ("", []),
        ("It needs no smaller ones.", []),
        ("1. a?\n2. b?\n3. c?\n4. d?", ["a?", "b?", "c?"]),
    ],
)
def test_sub_questions_are_read(text: str, found: list[str]) -> None:
    assert questions_in(text, QUESTION, 3) == found


def test_the_large_one_answers_the_parts_and_then_the_whole() -> None:
    large = ScriptedModel(["In 1900.", "In 1945.", "He was 45."], name="large")
    small = ScriptedModel("1. When was he born?\n2. When did the war end?", name="small")
    request = Request.of(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}],
        max_tokens=9,
        temperature=0.7,
        response_format={"type": "json_object"},
    )
    reply = asyncio.run(Decomposed(large, small).reply(request))
    assert reply.text == "He was 45."
    assert [call.model for call in reply.trace.calls] == ["small", "large", "large", "large"]
    assert reply.trace.decisions[-1].verdict == "2 sub-questions"
    assert small.requests[0].prompt == asked(QUESTION)
    first, second, last = large.requests
    assert [message.role for message in last.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert first.messages[-1].text.startswith(f"I want to know: {QUESTION}")
    assert first.messages[-1].text.endswith("When was he born?")
    assert second.messages[:-2] == first.messages and second.messages[-2] == Message("assistant", "In 1900.")
    assert second.messages[-1].text.endswith("When did the war end?") and QUESTION not in second.messages[-1].text
    assert last.messages[-1].text.endswith(QUESTION)
    assert (last.max_tokens, last.temperature, last.response_format) == (9, 0.7, {"type": "json_object"})
    for one in (first, second):
        assert (one.max_tokens, one.temperature, one.response_format) == (256, 0.0, None)


def test_without_sub_questions_it_is_plain() -> None:
    large, small = ScriptedModel("45", name="large"), ScriptedModel("none", name="small")
    request = Request.of(QUESTION, max_tokens=3)
    reply = asyncio.run(Decomposed(large, small).reply(request))
    assert reply.text == "45" and large.requests == [request]
    assert reply.trace.decisions[-1].verdict == "plain: no sub-questions"
    assert len(reply.trace.calls) == 2


def test_a_first_attempt_is_shown_and_is_the_reply_where_nothing_is_asked() -> None:
    large, small = ScriptedModel(["about 40", "In 1900.", "45"]), ScriptedModel(["none", "1. Born when?"])
    reply = ask(Decomposed(large, small, attempt=True), QUESTION)
    assert reply.text == "about 40" and reply.usage.calls == 2
    assert small.requests[0].prompt == asked(QUESTION, "about 40")
    assert "about 40" in small.requests[0].prompt
    assert reply.trace.decisions[-1].verdict == "the first attempt: no sub-questions"
    large = ScriptedModel(["about 40", "In 1900.", "45"])
    reply = ask(Decomposed(large, ScriptedModel("1. Born when?"), attempt=True), QUESTION)
    assert reply.text == "45" and reply.usage.calls == 4


def test_empty_answers_are_paid_for_and_not_built_on() -> None:
    large = ScriptedModel(["", "In 1945.", "45"])
    reply = ask(Decomposed(large, ScriptedModel("1. a?\n2. b?")), QUESTION)
    assert reply.trace.decisions[-1].verdict == "1 sub-questions, 1 unanswered"
    assert [message.role for message in large.requests[-1].messages] == ["user", "assistant", "user"]
    assert large.requests[-1].messages[0].text == f"I want to know: {QUESTION}\n\nA smaller question first: b?"
    reply = ask(Decomposed(ScriptedModel(["", "", "45"]), ScriptedModel("1. a?\n2. b?")), QUESTION)
    assert reply.trace.decisions[-1].verdict == "plain: no sub-question was answered" and reply.usage.calls == 4


def test_what_was_cut_is_not_asked_and_no_more_than_most() -> None:
    small = ScriptedModel([Reply("1. a?\n2. b?\n3. Where di", finish_reason="length")])
    large = ScriptedModel("x")
    reply = ask(Decomposed(large, small, most=9), QUESTION)
    assert reply.trace.decisions[-1].verdict == "2 sub-questions"
    reply = ask(Decomposed(ScriptedModel("x"), ScriptedModel("1. a?\n2. b?\n3. c?"), most=1), QUESTION)
    assert reply.usage.calls == 3


def test_what_is_no_question_is_left() -> None:
    small = ScriptedModel("1. a?")
    tool = Request((Message("user", "x"), Message("tool", "result", tool_call_id="1")))
    reply = asyncio.run(Decomposed(ScriptedModel("y"), small).reply(tool))
    assert reply.text == "y" and small.calls == 0
    call = Reply("", tool_calls=(ToolCall("1", "f", "{}"),))
    reply = ask(Decomposed(ScriptedModel([call]), small, attempt=True), "x")
    assert reply.tool_calls and small.calls == 0


def test_the_last_answer_streams_with_the_whole_trace() -> None:
    async def told() -> tuple[str, int]:
        made = Decomposed(ScriptedModel(["a1", "one two three"]), ScriptedModel("1. a?"))
        pieces, calls = [], 0
        async for delta in made.stream(Request.of(QUESTION)):
            pieces.append(delta.text)
            if delta.reply is not None:
                calls = len(delta.reply.trace.calls)
        assert len(pieces) > 2
        return "".join(pieces), calls

    assert asyncio.run(told()) == ("one two three", 3)


def test_rows_that_teach_a_decomposer() -> None:
    rows: list[dict[str, Any]] = [
        {"q": "whole?", "parts": ["first?", "2.  second\n?"], "try": "my try"},
        {"q": "easy?", "parts": [], "try": None},
        {"q": "text?", "parts": "- one?\n\n- two?", "try": ""},
    ]
    made = decomposer_rows(rows, question="q", sub_questions="parts", attempt="try")
    assert made[0] == {"prompt": asked("whole?", "my try"), "text": "1. first?\n2. second ?"}
    assert made[1] == {"prompt": asked("easy?"), "text": "none"}
    assert made[2]["text"] == "1. one?\n2. two?"
    # What it is taught is what is read.
    assert questions_in(made[2]["text"], "text?", 5) == ["one?", "two?"]
    assert questions_in(made[1]["text"], "easy?", 5) == []
    wrongs: list[dict[str, Any]] = [{"q": "x", "parts": 3}, {"q": "", "parts": []}, {"q": "x", "parts": [""]}]
    wrongs.append({"q": "x"})
    for wrong in wrongs:
        with pytest.raises(DataError, match="row 1"):
            decomposer_rows([wrong], question="q", sub_questions="parts")


def test_what_is_wrong_is_told() -> None:
    braces = asked("a {question} of {attempt}", "an {attempt}")
    assert "a {question} of {attempt}\n" in braces and braces.count("an {attempt}") == 1
    for settings in ({"template": "none"}, {"template": "{question} {other}"}, {"most": 0}, {"max_tokens": 0}):
        with pytest.raises(ConfigError):
            Decomposed(ScriptedModel(), ScriptedModel(), **settings)
    assert TEMPLATE.count("{question}") == 1
