"""Requests, replies and traces: JSON round-trips, cost sums, decisions."""

from __future__ import annotations

import asyncio
import copy
import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, UpstreamError, did_you_mean
from pilotfish.model import (
    Call,
    Delta,
    Message,
    Model,
    Price,
    Reply,
    Request,
    Scored,
    TokenLogprob,
    ToolCall,
    Trace,
    Usage,
    WholeReplies,
)
from tests.fakes import ScriptedModel

TEXT = st.text(max_size=20)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(TEXT, JSON_VALUES, max_size=3)
TOOL_CALLS = st.builds(ToolCall, TEXT, TEXT, TEXT)
PARTS = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
    | st.fixed_dictionaries({"type": st.just("image_url"), "image_url": OBJECTS}),
    min_size=1,
    max_size=3,
).map(tuple)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=TEXT | PARTS,
    name=st.none() | TEXT,
    tool_calls=st.lists(TOOL_CALLS, max_size=2).map(tuple),
    tool_call_id=st.none() | TEXT,
)
SETTINGS = st.floats(-2, 2)
REQUESTS = st.builds(
    Request,
    messages=st.lists(MESSAGES, min_size=1, max_size=3).map(tuple),
    max_tokens=st.none() | st.integers(0, 10_000),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    stop=st.lists(TEXT, max_size=3).map(tuple),
    seed=st.none() | st.integers(0, 2**40),
    n=st.integers(1, 5),
    presence_penalty=st.none() | SETTINGS,
    frequency_penalty=st.none() | SETTINGS,
    logprobs=st.just(True),
    top_logprobs=st.integers(0, 5),
    tools=st.lists(OBJECTS, max_size=2).map(tuple),
    tool_choice=st.none() | st.just("auto") | OBJECTS,
    response_format=st.none() | OBJECTS,
    extra=st.dictionaries(
        st.sampled_from(["user", "logit_bias", "store"]), JSON_VALUES.filter(lambda v: v is not None)
    ),
)


@given(MESSAGES)
def test_a_message_survives_json(message: Message) -> None:
    assert Message.from_json(json.loads(json.dumps(message.to_json()))) == message


@given(REQUESTS)
def test_a_request_survives_json(request: Request) -> None:
    again = Request.from_json(json.loads(json.dumps(request.to_json())))
    assert again == request
    assert again.key() == request.key()


def test_metadata_is_neither_sent_nor_part_of_the_key() -> None:
    tagged = Request.of("hi", metadata={"row": 7})
    assert tagged == Request.of("hi")
    assert tagged.key() == Request.of("hi").key()
    assert "metadata" not in tagged.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 5},
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"stop": ("x",)},
        {"seed": 0},
        {"n": 2},
        {"presence_penalty": 0.0},
        {"frequency_penalty": 0.0},
        {"logprobs": True},
        {"tools": ({"type": "function"},)},
        {"tool_choice": "none"},
        {"response_format": {"type": "json_object"}},
        {"extra": {"user": "me"}},
        {"messages": (Message("system", "hi"),)},
    ],
)
def test_whatever_can_change_the_answer_changes_the_key(change: dict[str, Any]) -> None:
    assert Request.of("hi").with_(**change).key() != Request.of("hi").key()


def test_equal_requests_have_equal_keys_whatever_the_type_of_number() -> None:
    assert Request.of("hi", temperature=0).key() == Request.of("hi", temperature=0.0).key()
    assert Request.of("hi", temperature=0.5).to_json()["temperature"] == 0.5


def test_unset_fields_are_not_sent_and_unknown_ones_are_kept() -> None:
    assert Request.of("hi").to_json() == {"messages": [{"role": "user", "content": "hi"}]}
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": None}], "logit_bias": {"5": 1}}
    request = Request.from_json(
        {**body, "max_completion_tokens": 3, "stop": "end", "top_p": None, "metadata": {"a": 1}}
    )
    assert request.extra == {"logit_bias": {"5": 1}, "metadata": {"a": 1}}
    assert (request.max_tokens, request.stop, request.top_p, request.messages[0].content) == (3, ("end",), None, "")
    assert request.metadata == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "role"),
        ({"messages": [{"content": "hi"}]}, "role"),
        ({"messages": [{"role": "user", "content": 3}]}, "content must be text or a list of parts, not int"),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, "content parts"),
        ({"messages": [{"role": "assistant", "tool_calls": "x"}]}, "tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": ["x"]}]}, "tool_calls"),
        ({"messages": [{"role": "user", "content": ""}], "stop": 5}, "stop must be a list of texts"),
        ({"messages": [{"role": "user", "content": ""}], "stop": [5]}, "stop must be a list of texts"),
        ({"messages": [{"role": "user", "content": ""}], "tools": {"a": 1}}, "tools must be a list of objects"),
    ],
)
def test_a_body_that_is_no_request_is_one_clear_line(body: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        Request.from_json(body)
    assert "\n" not in str(caught.value)


def test_a_request_of_texts_messages_and_requests() -> None:
    assert Request.of("hi", n=2) == Request((Message("user", "hi"),), n=2)
    assert Request.of([{"role": "system", "content": "be brief"}]).messages == (Message("system", "be brief"),)
    request = Request.of("hi")
    assert Request.of(request) is request
    assert Request.of(request, seed=1).seed == 1
    assert request.seed is None


def test_the_prompt_is_the_last_user_turn() -> None:
    parts = ({"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"})
    turns = (Message("user", "first"), Message("user", parts), Message("assistant", "said"))
    assert Request(turns).prompt == "ab"
    assert Request((Message("system", "only"),)).prompt == "only"
    assert Request(()).prompt == ""


CALLS = st.builds(
    Call,
    model=TEXT,
    tokens_in=st.integers(0, 1000),
    tokens_out=st.integers(0, 1000),
    seconds=st.floats(0, 10),
    cost=st.none() | st.floats(0, 10),
    cached=st.booleans(),
    why=TEXT,
)


@given(st.lists(CALLS, max_size=5), st.lists(CALLS, max_size=5))
def test_a_trace_sums_every_call_and_an_unknown_price_stays_unknown(first: list[Call], second: list[Call]) -> None:
    trace = Trace(tuple(first)) + Trace(tuple(second))
    every = first + second
    assert trace.calls == tuple(every)
    assert trace.usage == Usage(sum(c.tokens_in for c in every), sum(c.tokens_out for c in every), len(every))
    assert trace.usage == Trace(tuple(first)).usage + Trace(tuple(second)).usage
    assert math.isclose(trace.seconds, sum(c.seconds for c in every))
    costs = [call.cost for call in every]
    if None in costs:
        assert trace.cost is None
    else:
        assert trace.cost is not None
        assert math.isclose(trace.cost, sum(cost for cost in costs if cost is not None), abs_tol=1e-12)
    data = json.loads(json.dumps(trace.to_json()))
    assert tuple(Call(**call) for call in data["calls"]) == trace.calls
    assert data["cost"] == trace.cost
    assert data["usage"] == {
        "tokens_in": trace.usage.tokens_in,
        "tokens_out": trace.usage.tokens_out,
        "calls": len(every),
    }


def test_a_price_is_dollars_for_a_million_tokens() -> None:
    assert Price(2.0, 8.0).cost(1_000_000, 500_000) == 6.0
    assert Price().cost(10, 10) == 0.0


def test_after_pays_for_earlier_attempts_in_order() -> None:
    first = Reply("no", trace=Trace((Call("small", tokens_in=3, cost=0.25),)))
    second = Reply("maybe", trace=Trace((Call("medium", cost=0.5),)))
    last = Reply("yes", trace=Trace((Call("large", tokens_out=2, cost=1.0),)))
    whole = last.after(first, second)
    assert whole.text == "yes"
    assert [call.model for call in whole.trace.calls] == ["small", "medium", "large"]
    assert whole.cost == 1.75
    assert whole.usage == Usage(3, 2, 3)
    assert last.after(Reply("", trace=Trace((Call("free", cost=None),)))).cost is None
    assert last.trace.calls == (Call("large", tokens_out=2, cost=1.0),)


def test_decided_notes_the_decision_after_what_was_decided_before() -> None:
    reply = Reply("x").decided("cascade", "deferred", -0.7).decided("router", "large")
    assert [(d.model, d.verdict, d.score) for d in reply.trace.decisions] == [
        ("cascade", "deferred", -0.7),
        ("router", "large", None),
    ]
    assert reply.trace.to_json()["decisions"][0] == {
        "model": "cascade",
        "verdict": "deferred",
        "score": -0.7,
        "threshold": None,
    }
    assert reply.trace.calls == ()


def test_mean_logprob() -> None:
    assert Reply("x").mean_logprob is None
    assert Reply("x", logprobs=()).mean_logprob is None
    assert Reply("x", logprobs=(TokenLogprob("a", -1.0), TokenLogprob("b", -2.0))).mean_logprob == -1.5


def test_scored_totals() -> None:
    assert (Scored((-1.0, -3.0), (4, 5), False).total, Scored((-1.0, -3.0), (4, 5), False).mean) == (-4.0, -2.0)
    assert (Scored((), (), True).total, Scored((), (), True).mean) == (0.0, 0.0)


def test_a_model_that_cannot_stream_gives_the_whole_reply_as_one_delta() -> None:
    class Echo(WholeReplies):
        name = "echo"

        async def reply(self, request: Request) -> Reply:
            return Reply(request.prompt, tool_calls=(ToolCall("1", "f", "{}"),))

    async def deltas() -> list[Delta]:
        return [delta async for delta in Echo().stream(Request.of("hi"))]

    (delta,) = asyncio.run(deltas())
    assert (delta.text, delta.tool_calls) == ("hi", (ToolCall("1", "f", "{}"),))
    assert delta.reply is not None
    assert delta.reply.text == "hi"
    assert isinstance(Echo(), Model)
    assert isinstance(ScriptedModel(), Model)
    assert not isinstance("echo", Model)


def test_errors_keep_their_facts_between_processes() -> None:
    error = UpstreamError("busy", status=429, retry_after=2.5)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(again), again.status, again.retry_after) == ("busy", 429, 2.5)


def test_the_nearest_known_word_is_named() -> None:
    assert did_you_mean("wieghts", ["weights", "name"]) == "; did you mean 'weights'?"
    assert did_you_mean("zzz", ["b", "a"]) == "; known: a, b"
    assert did_you_mean("zzz", [f"word{i:02}" for i in range(20)]).endswith("word11, …")
    assert did_you_mean("zzz", []) == ""


def test_another_prompt_leaves_what_stands_beside_it() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    turns: list[dict[str, Any]] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "one"}, image, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "three"},
    ]
    changed = Request.of(turns, max_tokens=3).with_prompt("other")
    assert changed.prompt == "other" and changed.max_tokens == 3
    assert changed.messages[0].text == "Be kind." and changed.messages[2].text == "three"
    assert changed.messages[1].content == ({"type": "text", "text": "other"}, image)
    assert Request.of([{"role": "system", "content": "a"}]).with_prompt("b").messages[0].text == "b"
    assert Request(()).with_prompt("b").prompt == "b"
