"""The model: prompts within the budget, what is asked untouched, a trace that adds up, and any nesting."""

from __future__ import annotations

import asyncio

import pytest

from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Call, Model, Reply, Request, Trace
from pilotfish.prompt.compress import WORDS, AtRandom, BySentences, Compressing, Compressor, Protect, RankByWords
from pilotfish.prompt.compress.model import asked_in
from tests.fakes import ScriptedModel

pytest.importorskip("sentencex")

CONTEXT = "Payments take two days. The sea is salt and wide and cold in winter. Birds sing in the morning."
TURN = f"Answer from the text below.\n\n{CONTEXT}\n\nHow long do payments take?"
WAY = Compressor(BySentences(RankByWords()), WORDS, protect=Protect(()))


def words(request: Request) -> int:
    return sum(len(message.text.split()) for message in request.messages)


def ask(model: Model, request: Request | str) -> Reply:
    return asyncio.run(model.reply(Request.of(request)))


def test_only_the_context_is_made_shorter() -> None:
    inner = ScriptedModel("two days")
    said = ask(Compressing(inner, WAY, budget=16), TURN)
    [sent] = inner.requests
    assert sent.prompt == "Answer from the text below.\n\nPayments take two days. The sea\n\nHow long do payments take?"
    assert words(sent) == 16 and said.text == "two days"
    compressing, answering = said.trace.calls
    assert (compressing.role, compressing.why) == ("compressor", "29 to 16 words")
    assert answering.model == "scripted"
    assert said.trace.usage.tokens_in == compressing.tokens_in + answering.tokens_in
    [decision] = said.trace.decisions
    assert decision.verdict == "compressed: 29 to 16 words, 13 saved"
    assert (decision.score, decision.threshold) == (16, 16)


def test_earlier_turns_and_tools_share_the_budget_and_the_system_stays() -> None:
    inner = ScriptedModel()
    long = " ".join(f"w{i}" for i in range(40))
    request = Request.of(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": long},
            {"role": "assistant", "content": "ok"},
            {"role": "tool", "content": long + " " + long, "tool_call_id": "x"},
            {"role": "user", "content": "And now?"},
        ]
    )
    way = Compressor(AtRandom(), WORDS, protect=Protect(()))
    ask(Compressing(inner, way, budget=64), request)
    [sent] = inner.requests
    sizes = [len(message.text.split()) for message in sent.messages]
    assert sum(sizes) == 64
    assert sizes[0] == 2 and sizes[4] == 2 and sizes[2] == 1
    assert sizes[1] == pytest.approx(20, abs=1) and sent.messages[3].tool_call_id == "x"
    # Of parts that are named alone.
    inner = ScriptedModel()
    ask(Compressing(inner, way, rate=0.25, parts=("tools",)), request)
    assert [len(message.text.split()) for message in inner.requests[0].messages] == [2, 40, 1, 20, 2]


def test_short_prompts_stay_as_they_are() -> None:
    inner = ScriptedModel()
    for model in (
        Compressing(inner, WAY, budget=40),
        Compressing(inner, WAY, rate=0.5, above=29),
        Compressing(inner, WAY, rate=0.5, parts=("tools",)),
    ):
        said = ask(model, TURN)
        assert inner.requests[-1].prompt == TURN
        assert said.trace.decisions[0].verdict.startswith("left as it is: 29 words")
        assert len(said.trace.calls) == 1
    assert ask(Compressing(inner, WAY, rate=0.1), CONTEXT).trace.decisions[0].verdict.endswith("nothing to compress")


def test_a_question_can_be_made_shorter_where_that_is_wanted() -> None:
    inner = ScriptedModel()
    ask(Compressing(inner, WAY, budget=6, parts=("context", "question")), CONTEXT)
    assert words(inner.requests[0]) == 6


def test_a_budget_that_cannot_be_met_says_so() -> None:
    with pytest.raises(ModelError, match="what is not compressed alone is 10 words, of a budget of 9"):
        ask(Compressing(ScriptedModel(), WAY, budget=9), TURN)


def test_content_in_parts_keeps_what_is_no_text() -> None:
    inner = ScriptedModel()
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    request = Request.of([{"role": "user", "content": [{"type": "text", "text": TURN}, image]}])
    ask(Compressing(inner, WAY, budget=16), request)
    [sent] = inner.requests
    assert sent.messages[0].content[1] == image
    assert len(sent.prompt.split()) == 16


def test_a_stream_is_made_shorter_before_its_first_byte() -> None:
    inner = ScriptedModel("one two three")

    async def go() -> tuple[str, Reply | None]:
        text, last = "", None
        async for delta in Compressing(inner, WAY, budget=16).stream(Request.of(TURN)):
            text += delta.text
            last = delta.reply
        return text, last

    text, last = asyncio.run(go())
    assert text == "one two three" and last is not None
    assert last.trace.calls[0].role == "compressor"
    assert len(inner.requests[0].prompt.split()) == 16


def test_it_nests() -> None:
    inner = ScriptedModel(lambda request: Reply("x", trace=Trace((Call("inner"),))))
    outer = Compressing(Compressing(inner, WAY, budget=14, name="inner"), WAY, budget=20, name="outer")
    said = ask(outer, TURN)
    assert [one.model for one in said.trace.decisions] == ["outer", "inner"]
    assert len(said.trace.calls) == 3 and words(inner.requests[0]) == 14


@pytest.mark.parametrize(
    ("turn", "question"),
    [
        ("What?", "What?"),
        (f"{CONTEXT}\n\nWhat?", "What?"),
        (f"Summarise this:\n\n{CONTEXT} {CONTEXT}", "Summarise this:"),
        (f"Read.\n\n{CONTEXT}\n\nGo on.", "Go on."),
        (f"What is it?\n\n{CONTEXT}\n\nThank you.", "What is it?"),
        (f"{CONTEXT}\nWhat?", "What?"),
    ],
)
def test_what_is_asked(turn: str, question: str) -> None:
    spans, found = asked_in(turn)
    assert found == question
    assert question in [turn[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({}, "budget or a rate"),
        ({"budget": 3, "rate": 0.5}, "budget or a rate"),
        ({"budget": 0}, "1 or more"),
        ({"rate": 0.0}, "above 0"),
        ({"budget": 5, "parts": ("sytem",)}, "parts are"),
        ({"budget": 5, "parts": ()}, "parts are"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        Compressing(ScriptedModel(), WAY, **settings)  # type: ignore[arg-type]
