from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from pilotfish import Message, Model, Price, Reply, Request, ask
from pilotfish.errors import ModelError, UpstreamError
from pilotfish.model import Delta, ToolCall
from tests.fakes import Answer, ScriptedModel, ScriptedUpstream, Seen, failing

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def post(upstream: ScriptedUpstream, path: str = "/chat/completions", **body: object) -> httpx.Response:
    return httpx.post(upstream.url + path, json={**CHAT, **body}, trust_env=False)


def test_scripts_of_every_kind() -> None:
    assert ask(ScriptedModel("always"), "x").text == "always"
    by_prompt = ScriptedModel({"a": "1", "*": "other"})
    assert [ask(by_prompt, prompt).text for prompt in ("a", "b")] == ["1", "other"]
    in_order = ScriptedModel(["1", Reply("2", (ToolCall("c", "f", "{}"),)), ModelError("third")])
    assert ask(in_order, "x").text == "1"
    assert ask(in_order, "x").tool_calls[0].name == "f"
    with pytest.raises(ModelError, match="third"):
        ask(in_order, "x")
    with pytest.raises(ModelError, match="the script ends at 3"):
        ask(in_order, "x")
    assert ask(ScriptedModel(lambda request: request.prompt.upper()), "x").text == "X"
    with pytest.raises(ModelError, match="no answer for 'b'"):
        ask(ScriptedModel({"a": "1"}), "b")
    assert isinstance(by_prompt, Model)


def test_the_trace_counts_words_and_prices_them() -> None:
    model = ScriptedModel("a b c", name="big", price=Price(1e6, 1e7))
    (call,) = ask(model, Request((Message("system", "be brief"), Message("user", "x")))).trace.calls
    assert (call.model, call.tokens_in, call.tokens_out, call.cost) == ("big", 3, 3, 33.0)


def test_logprobs_come_only_where_asked_for() -> None:
    model = ScriptedModel("a b", logprob=-0.5)
    assert ask(model, "x").logprobs is None
    assert ask(model, "x", logprobs=True).mean_logprob == -0.5
    by_text = ScriptedModel("a b", logprob=lambda request, text: -float(len(text)))
    assert ask(by_text, "x", logprobs=True).mean_logprob == -3.0


def test_failures_first_then_the_script_from_its_start() -> None:
    model = ScriptedModel(["one"], fail_first=2)
    for _ in range(2):
        with pytest.raises(UpstreamError):
            ask(model, "x")
    assert ask(model, "x").text == "one"
    assert model.calls == len(model.requests) == 3


def test_delays_overlap_and_cancelling_is_noted() -> None:
    async def run() -> None:
        model = ScriptedModel("a b", delay=0.1)
        start = time.monotonic()
        await asyncio.gather(*(model.reply(Request.of("x")) for _ in range(5)))
        assert 0.1 <= time.monotonic() - start < 0.3
        assert (model.peak, model.active) == (5, 0)
        task = asyncio.create_task(model.reply(Request.of("x")))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        stream = model.stream(Request.of("x"))
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        assert (model.cancelled, model.active) == (2, 0)

    asyncio.run(run())


def test_it_streams_word_by_word() -> None:
    async def deltas() -> list[Delta]:
        return [delta async for delta in ScriptedModel("one two  three").stream(Request.of("x"))]

    got = asyncio.run(deltas())
    assert [delta.text for delta in got] == ["one", " two", "  three", ""]
    assert got[-1].reply is not None
    assert got[-1].reply.text == "one two  three"


def test_the_upstream_records_and_counts() -> None:
    with ScriptedUpstream() as upstream:
        assert post(upstream).json()["choices"][0]["message"]["content"] == "echo: hi"
        post(upstream, "/completions", prompt="p", messages=[])
        vectors = post(upstream, "/embeddings", input=["a", "b", "a"]).json()["data"]
        models = httpx.get(upstream.url + "/models", trust_env=False).json()
        counts = httpx.get(upstream.url + "/_calls", trust_env=False).json()
    assert vectors[0]["embedding"] == vectors[2]["embedding"] != vectors[1]["embedding"]
    assert sum(x * x for x in vectors[0]["embedding"]) == pytest.approx(1)
    assert models["data"][0]["id"] == "scripted"
    assert (upstream.calls, counts["calls"], counts["prompts"]) == (2, 2, {"hi": 1, "p": 1})
    assert [seen.path for seen in upstream.seen][:3] == ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]


def test_a_script_may_be_a_function_of_the_request() -> None:
    def by_header(seen: Seen) -> Answer:
        return failing(503) if "x-fail" in seen.headers else Answer(lambda body: body["model"])

    with ScriptedUpstream(by_header) as upstream:
        assert post(upstream).json()["choices"][0]["message"]["content"] == "m"
        assert httpx.post(upstream.url + "/completions", json=CHAT, headers={"X-Fail": "1"}).status_code == 503


def test_streams_end_with_usage_only_where_asked_and_done() -> None:
    with ScriptedUpstream() as upstream:
        plain = post(upstream, stream=True).text
        asked = post(upstream, stream=True, stream_options={"include_usage": True}).text
    assert plain.endswith("data: [DONE]\n\n")
    assert "usage" not in plain
    assert json.loads(asked.split("data: ")[-2])["usage"]["completion_tokens"] == 2


def test_it_serves_thousands_of_requests_a_second() -> None:
    body = json.dumps(CHAT).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with ScriptedUpstream() as upstream, socket.create_connection(("127.0.0.1", upstream.port)) as client:
        start, got = time.monotonic(), b""
        for _ in range(10):
            client.sendall(request * 100)
            while got.count(b"HTTP/1.1 200") < 100:
                got += client.recv(1 << 16)
            got = b""
        seconds = time.monotonic() - start
    assert upstream.calls == 1000
    assert 1000 / seconds > 1000


def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "tests.fakes", "--port", "0", "--reply", "fixed", "--key", "k"]
    folder = Path(__file__).parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with httpx.Client(trust_env=False) as client:
            assert client.post(url + "/chat/completions", json=CHAT).status_code == 401
            good = client.post(url + "/chat/completions", json=CHAT, headers={"Authorization": "Bearer k"})
            assert good.json()["choices"][0]["message"]["content"] == "fixed"
            assert client.get(url + "/_calls").json()["calls"] == 2
        server.terminate()
        assert server.wait(5) == 0


def test_a_taken_port_is_an_error() -> None:
    with ScriptedUpstream() as upstream, pytest.raises(OSError, match="in use"):
        ScriptedUpstream(port=upstream.port).start()
