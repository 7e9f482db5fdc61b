"""Chats through a real socket: whole and streamed, what comes back and what headers tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pilotfish.infer import Cascade
from pilotfish.infer.accept import Above
from pilotfish.model import Call, Model, Price, Reply, Request, TokenLogprob, ToolCall, Trace
from pilotfish.retrieve.found import Hit, Passage
from pilotfish.retrieve.rag import Retrieving
from tests.fakes import ScriptedModel
from tests.serve.gateways import events, running

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def cascade(above: float) -> dict[str, Model]:
    small = ScriptedModel("a b", name="small", logprob=-0.5, price=Price(1, 2))
    large = ScriptedModel("the large one", name="large", logprob=-0.1, price=Price(10, 20))
    return {"small": small, "large": large, "both": Cascade(small, large, Above("mean-logprob", above), name="both")}


def test_a_whole_answer_in_openais_form() -> None:
    with running({"small": ScriptedModel("hé 🐟", name="small")}) as gateway:
        answer = gateway.chat("x y z")
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hé 🐟", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert (body["object"], body["model"]) == ("chat.completion", "small")
    assert answer.headers["x-request-id"] == body["id"]


def test_all_that_a_request_may_say_reaches_the_model() -> None:
    model = ScriptedModel("x", name="small")
    fields: dict[str, Any] = {
        "max_completion_tokens": 9,
        "temperature": 0,
        "top_p": 0.5,
        "n": 2,
        "seed": -3,
        "stop": "\n",
        "logprobs": True,
        "top_logprobs": 3,
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "tools": [TOOL],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "user": "me",
    }
    with running({"small": model}) as gateway:
        assert gateway.chat("x", **fields).status_code == 200
    (request,) = model.requests
    sent = fields | {"max_tokens": 9, "stop": ["\n"]}
    del sent["max_completion_tokens"]
    assert request.to_json() == sent | {"messages": [{"role": "user", "content": "x"}]}


def test_usage_and_cost_are_those_of_every_attempt() -> None:
    with running(cascade(above=-0.1)) as gateway:
        answer = gateway.chat("x", "both")
    assert answer.json()["choices"][0]["message"]["content"] == "the large one"
    assert answer.json()["usage"] == {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}
    told = {name.removeprefix("x-pilotfish-"): value for name, value in answer.headers.items() if "pilot" in name}
    assert 0 <= float(told.pop("overhead-ms")) < 1000
    assert float(told.pop("cost")) == pytest.approx((1 + 4 + 10 + 60) / 1e6)
    assert told == {"model": "large", "score": "-0.5", "threshold": "-0.1", "verdict": "deferred", "attempts": "2"}


def test_a_trusted_small_reply_is_told_so() -> None:
    with running(cascade(above=-0.9)) as gateway:
        answer = gateway.chat("x", "both")
    told = [answer.headers[f"x-pilotfish-{name}"] for name in ("model", "verdict", "attempts")]
    assert told == ["small", "accepted", "1"]


def test_a_cost_that_nobody_knows_is_not_told() -> None:
    reply = Reply("x", trace=Trace((Call("small", cost=None),)))
    with running({"small": ScriptedModel([reply], name="small")}) as gateway:
        assert "x-pilotfish-cost" not in gateway.chat("x").headers


def test_several_answers_tools_and_logprobs() -> None:
    token = TokenLogprob("é", float("-inf"), (("é", -0.25), ("b", float("-inf"))))
    calls = (ToolCall("c1", "weather", '{"city": "Faro"}'),)
    reply = Reply("", calls, "tool_calls", (token,), choices=(Reply("second", finish_reason="length"),))
    with running({"small": ScriptedModel([reply], name="small")}) as gateway:
        first, second = gateway.chat("x", logprobs=True, top_logprobs=2, n=2, tools=[TOOL]).json()["choices"]
    assert first["message"]["content"] is None
    assert first["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Faro"}'}}
    ]
    assert first["logprobs"]["content"] == [
        {
            "token": "é",
            "logprob": -9999.0,
            "bytes": [195, 169],
            "top_logprobs": [
                {"token": "é", "logprob": -0.25, "bytes": [195, 169]},
                {"token": "b", "logprob": -9999.0, "bytes": [98]},
            ],
        }
    ]
    assert (second["index"], second["message"]["content"], second["finish_reason"]) == (1, "second", "length")


def test_a_stream_comes_in_chunks() -> None:
    with running({"small": ScriptedModel("one two three", name="small")}) as gateway:
        answer = gateway.chat("x", stream=True)
        *chunks, done = events(answer)
    assert done == "[DONE]"
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert {chunk["id"] for chunk in chunks} == {answer.headers["x-request-id"]}
    assert all("usage" not in chunk and "pilotfish" not in chunk for chunk in chunks)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [choice["delta"]["content"] for choice in choices[1:-1]] == ["one", " two", " three"]
    assert [choice["finish_reason"] for choice in choices] == [None] * 4 + ["stop"]


def test_the_end_of_a_stream_tells_what_its_head_could_not() -> None:
    with running(cascade(above=-0.1)) as gateway:
        *chunks, last, done = events(gateway.chat("x", "both", stream=True, stream_options={"include_usage": True}))
    assert done == "[DONE]"
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}
    told = last["pilotfish"]
    assert 0 <= told.pop("overhead_ms") < 1000
    assert told.pop("cost") == pytest.approx(75e-6)
    assert told == {"model": "large", "score": -0.5, "threshold": -0.1, "verdict": "deferred", "attempts": 2}


def test_the_passages_that_an_answer_stands_on_are_told() -> None:
    passages = [Hit(Passage("p1", "Small fish.", "Fish", "d1"), 2.5)]

    class Found:
        name = "found"

        def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
            return [passages for _ in queries]

    models: dict[str, Model] = {
        "rag": Retrieving(Found(), ScriptedModel("Small [1].", name="large"), name="rag"),
        "plain": ScriptedModel("x", name="plain"),
    }
    with running(models) as gateway:
        whole = gateway.chat("which fish?", "rag").json()
        *chunks, done = events(gateway.chat("which fish?", "rag", stream=True))
        assert "pilotfish" not in gateway.chat("x", "plain").json()
    (source,) = whole["pilotfish"]["sources"]
    assert (source["number"], source["id"], source["document"], source["cited"]) == (1, "p1", "d1", True)
    assert done == "[DONE]"
    assert chunks[-1]["pilotfish"] == whole["pilotfish"]
    assert all("pilotfish" not in chunk for chunk in chunks[:-1])


def test_a_stream_carries_tools_logprobs_and_further_answers() -> None:
    calls = (ToolCall("c1", "f", "{}"), ToolCall("c2", "g", "{}"))
    other = Reply("second", (ToolCall("c3", "h", "{}"),))
    reply = Reply("hm", calls, "tool_calls", (TokenLogprob("hm", -0.5),), choices=(other,))
    with running({"small": ScriptedModel([reply], name="small")}) as gateway:
        *chunks, _ = events(gateway.chat("x", stream=True, logprobs=True, n=2, tools=[TOOL]))
    choices = [chunk["choices"][0] for chunk in chunks]
    called = [call for choice in choices if choice["index"] == 0 for call in choice["delta"].get("tool_calls", ())]
    assert [(call["index"], call["id"], call["function"]["name"]) for call in called] == [
        (0, "c1", "f"),
        (1, "c2", "g"),
    ]
    (end,) = [choice for choice in choices if choice["index"] == 0 and choice["finish_reason"]]
    assert (end["finish_reason"], end["logprobs"]["content"][0]["logprob"]) == ("tool_calls", -0.5)
    second = [choice for choice in choices if choice["index"] == 1]
    assert second[0]["delta"]["content"] == "second"
    assert second[1]["delta"]["tool_calls"][0]["id"] == "c3"
    assert second[2]["finish_reason"] == "stop"


def test_a_conversation_of_many_turns_is_passed_on() -> None:
    model = ScriptedModel("x", name="small")
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": None, "tool_calls": [ToolCall("c", "f", "{}").to_json()]},
        {"role": "tool", "content": "3", "tool_call_id": "c"},
    ]
    with running({"small": model}) as gateway:
        assert gateway.post("chat/completions", {"model": "small", "messages": turns}).status_code == 200
    assert model.requests[0] == Request.from_json({"messages": turns})


def test_the_models_are_listed() -> None:
    models: dict[str, Model] = {"small": ScriptedModel(name="small"), "org/large": ScriptedModel(name="large")}
    with running(models) as gateway:
        rows = gateway.client.get("/v1/models").json()["data"]
        one = gateway.client.get("/v1/models/org/large").json()
        none = gateway.client.get("/v1/models/lage")
    assert [row["id"] for row in rows] == ["small", "org/large"]
    assert one == rows[1]
    assert none.status_code == 404
