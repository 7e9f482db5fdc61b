from __future__ import annotations

import asyncio
import gc
import json
import pickle
import warnings
from typing import Any

import pytest

from pilotfish import Message, Price, RemoteModel, Reply, Request, ask
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import ToolCall
from tests.fakes import Answer, ScriptedUpstream
from tests.models.remote_help import collect, model_at, streamed

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def test_a_chat_request_goes_out_as_chat_completions() -> None:
    request = Request(
        (Message("system", "Be brief."), Message("user", "hé")),
        max_tokens=7,
        temperature=0.5,
        stop=("\n",),
        seed=3,
        tools=(TOOL,),
        tool_choice="auto",
        response_format={"type": "json_object"},
        extra={"min_p": 0.1},
        metadata={"row": 5},
    )
    with ScriptedUpstream() as upstream:
        reply = ask(model_at(upstream, extra={"min_p": 0.9, "top_k": 4}, headers={"X-Team": "sea"}), request)
        (seen,) = upstream.seen
    assert reply.text == "echo: hé"
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["x-team"] == "sea"
    assert "authorization" not in seen.headers
    assert seen.body == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hé"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "stop": ["\n"],
        "seed": 3,
        "tools": [TOOL],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "min_p": 0.1,  # the request's own field wins
        "top_k": 4,
    }


def test_the_completions_form() -> None:
    with ScriptedUpstream(Answer("a b")) as upstream:
        model = model_at(upstream, api="completions")
        reply = ask(model, Request((Message("system", "One."), Message("user", "Two."))), logprobs=True, top_logprobs=2)
        ask(model, "x", logprobs=True)
        first, second = upstream.seen
    assert first.path == "/v1/completions"
    assert first.body == {"model": "tiny", "prompt": "One.\n\nTwo.", "logprobs": 2}
    assert second.body["logprobs"] == 1
    assert reply.text == "a b"
    assert reply.logprobs is not None
    assert [(row.token, row.logprob) for row in reply.logprobs] == [("a", -0.1), (" b", -0.2)]
    assert reply.logprobs[0].top == (("a", -0.1), ("other0", -1.1))


def test_completions_take_no_tools() -> None:
    with ScriptedUpstream() as upstream:
        with pytest.raises(ModelError, match='takes no tools; use api="chat"'):
            ask(model_at(upstream, api="completions"), "x", tools=(TOOL,))
        assert upstream.calls == 0


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("stream", [False, True])
def test_whole_and_streamed_answers_are_the_same(api: str, stream: bool) -> None:
    with ScriptedUpstream(Answer("one two three é", finish="length")) as upstream:
        model = model_at(upstream, api=api, price=Price(1.0, 10.0), name="little")
        settings: dict[str, Any] = {"logprobs": True, "top_logprobs": 2, "n": 2}
        if stream:
            *pieces, last = streamed(model, "a b c", **settings)
            assert "".join(piece.text for piece in pieces) == "one two three é"
            assert all(piece.reply is None for piece in pieces)
            assert len(pieces) == 4
            assert last.reply is not None
            reply = last.reply
        else:
            reply = ask(model, "a b c", **settings)
    assert (reply.text, reply.finish_reason) == ("one two three é", "length")
    assert [choice.text for choice in reply.choices] == ["one two three é (1)"]
    assert reply.logprobs is not None
    assert [row.token for row in reply.logprobs] == ["one", " two", " three", " é"]
    assert [row.logprob for row in reply.logprobs] == pytest.approx([-0.1, -0.2, -0.3, -0.4])
    assert [len(row.top) for row in reply.logprobs] == [2] * 4
    (call,) = reply.trace.calls
    assert (call.model, call.role, call.tokens_in, call.tokens_out, call.why) == ("little", "model", 3, 8, "")
    assert call.cost == pytest.approx(83e-6)
    assert call.seconds > 0


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_whole_and_in_fragments(stream: bool) -> None:
    calls = [("c1", "weather", '{"city": "Faro", "days": 3}'), ("c2", "time", "{}")]
    with ScriptedUpstream(Answer("", tool_calls=calls, finish="tool_calls")) as upstream:
        model = model_at(upstream)
        reply = streamed(model, "x", tools=(TOOL,))[-1].reply if stream else ask(model, "x", tools=(TOOL,))
    assert reply is not None
    assert reply.tool_calls == tuple(ToolCall(*call) for call in calls)
    assert (reply.text, reply.finish_reason) == ("", "tool_calls")


def test_streamed_tool_calls_come_once_with_the_last_delta() -> None:
    with ScriptedUpstream(Answer("hm", tool_calls=[("c1", "f", "{}")])) as upstream:
        text, last = streamed(model_at(upstream), "x")
    assert (text.text, text.tool_calls) == ("hm", ())
    assert (last.text, last.tool_calls) == ("", (ToolCall("c1", "f", "{}"),))


@pytest.mark.parametrize("stream", [False, True])
def test_without_reported_usage_tokens_and_cost_are_not_made_up(stream: bool) -> None:
    with ScriptedUpstream(Answer("a b", usage=False)) as upstream:
        model = model_at(upstream, price=Price(1, 1))
        reply = streamed(model, "x")[-1].reply if stream else ask(model, "x")
    assert reply is not None
    (call,) = reply.trace.calls
    assert (call.tokens_in, call.tokens_out, call.cost, call.why) == (0, 0, None, "no usage reported")


def test_without_a_price_the_cost_is_unknown() -> None:
    with ScriptedUpstream() as upstream:
        assert ask(model_at(upstream), "x").cost is None


def test_usage_is_asked_for_in_streams() -> None:
    with ScriptedUpstream() as upstream:
        streamed(model_at(upstream), "x")
        assert upstream.seen[0].body["stream_options"] == {"include_usage": True}


def test_the_name_of_the_token_limit_and_the_query_can_be_set() -> None:
    with ScriptedUpstream() as upstream:
        model = RemoteModel("o", upstream.url + "/?api-version=3", key_env=None, limit_field="max_completion_tokens")
        ask(model, "x", max_tokens=9)
        assert upstream.seen[0].path == "/v1/chat/completions"
        assert str(model._exchange.url).endswith("/v1/chat/completions?api-version=3")
        assert upstream.seen[0].body["max_completion_tokens"] == 9
        assert "max_tokens" not in upstream.seen[0].body


def test_content_in_parts_null_content_and_refusals_are_read() -> None:
    def raw(message: dict[str, Any]) -> Answer:
        return Answer(raw=json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())

    parts = {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    script = [raw(parts), raw({"content": None}), raw({"content": None, "refusal": "I will not."})]
    with ScriptedUpstream(script) as upstream:
        assert [ask(model_at(upstream), "x").text for _ in range(3)] == ["ab", "", "I will not."]


@pytest.mark.parametrize("stream", [False, True])
def test_concurrency_is_bounded(stream: bool) -> None:
    async def many(model: RemoteModel) -> None:
        if stream:
            await asyncio.gather(*(collect(model, f"q{i}") for i in range(20)))
        else:
            await asyncio.gather(*(model.reply(Request.of(f"q{i}")) for i in range(20)))

    with ScriptedUpstream(Answer(delay=0.02)) as upstream:
        asyncio.run(many(model_at(upstream, concurrency=3)))
        assert upstream.calls == 20
        assert upstream.peak == 3


def test_cancelling_closes_the_upstream_connection_and_frees_the_slot() -> None:
    async def cancel(model: RemoteModel) -> Reply:
        task = asyncio.create_task(model.reply(Request.of("never answered")))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert upstream.wait_for(lambda: upstream.aborted == 1)
        return await model.reply(Request.of("next"))

    with ScriptedUpstream([Answer(hang=True)]) as upstream:
        assert asyncio.run(cancel(model_at(upstream, concurrency=1))).text == "echo: next"


def test_leaving_a_stream_closes_the_upstream_connection_and_frees_the_slot() -> None:
    async def leave(model: RemoteModel) -> Reply:
        stream = model.stream(Request.of("a b c d e f g h"))
        async for delta in stream:
            assert delta.text == "echo:"
            break
        await stream.aclose()  # type: ignore[attr-defined]
        assert upstream.wait_for(lambda: upstream.aborted == 1)
        return await model.reply(Request.of("next"))

    with ScriptedUpstream([Answer(drip=0.1)]) as upstream:
        assert asyncio.run(leave(model_at(upstream, concurrency=1))).text == "echo: next"


def test_connections_are_reused_in_a_loop_and_closed_at_its_end_without_warnings() -> None:
    async def several(model: RemoteModel) -> None:
        for i in range(5):
            await model.reply(Request.of(f"q{i}"))
            await collect(model, f"s{i}")

    with ScriptedUpstream() as upstream, warnings.catch_warnings():
        warnings.simplefilter("error")
        model = model_at(upstream)
        asyncio.run(several(model))
        assert upstream.connections == 1
        assert upstream.wait_for(lambda: not upstream._open)
        for i in range(5):
            ask(model, f"q{i}")
        assert upstream.connections == 6
        assert upstream.wait_for(lambda: not upstream._open)
        assert len(model._lanes._lanes) <= 1  # closed loops are let go
        del model
        gc.collect()


def test_a_model_dropped_in_its_loop_leaves_nothing_open() -> None:
    async def at_the_end() -> None:
        await asyncio.gather(*(model_at(upstream).reply(Request.of(f"q{i}")) for i in range(4)))
        model = model_at(upstream)
        await asyncio.gather(*(model.reply(Request.of(f"q{i}")) for i in range(4)))

    async def before_the_end() -> None:
        await model_at(upstream).reply(Request.of("x"))
        gc.collect()
        await model_at(upstream).reply(Request.of("y"))
        assert upstream.wait_for(lambda: len(upstream._open) == 1)

    with ScriptedUpstream() as upstream, warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(at_the_end())
        assert upstream.wait_for(lambda: not upstream._open)
        gc.collect()
        asyncio.run(before_the_end())
        assert upstream.wait_for(lambda: not upstream._open)
        gc.collect()


def test_ask_works_inside_a_running_loop() -> None:
    async def inside(model: RemoteModel) -> str:
        return ask(model, "x").text

    with ScriptedUpstream() as upstream:
        assert asyncio.run(inside(model_at(upstream))) == "echo: x"


def test_closing_and_going_on() -> None:
    async def use(model: RemoteModel) -> None:
        async with model:
            await model.reply(Request.of("x"))
        assert upstream.wait_for(lambda: not upstream._open)
        assert (await model.reply(Request.of("y"))).text == "echo: y"
        await model.aclose()
        await model.aclose()

    with ScriptedUpstream() as upstream:
        asyncio.run(use(model_at(upstream)))
        assert upstream.connections == 2


def test_a_pickled_copy_works() -> None:
    with ScriptedUpstream() as upstream:
        model = model_at(upstream)
        ask(model, "x")
        copy = pickle.loads(pickle.dumps(model))
        assert ask(copy, "y").text == "echo: y"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "localhost:8000"}, "must start with http"),
        ({"base_url": "ftp://host/v1"}, "must start with http"),
        ({"base_url": "https://me:hunter2@host/v1"}, "holds a user name or password"),
        ({"base_url": "https://host/v1?api_key=hunter2"}, "holds api_key=…"),
        ({"api": "chats"}, "did you mean 'chat'"),
        ({"concurrency": 0}, "concurrency must be 1 or more"),
        ({"retries": -1}, "retries must be 0 or more"),
        ({"timeout": 0}, "timeout must be above 0"),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        RemoteModel("m", **settings)
    assert "hunter2" not in str(caught.value)
