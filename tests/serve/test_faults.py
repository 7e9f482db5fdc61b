"""What is told when something is wrong: with the request, with a model, or with us."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pilotfish.errors import ConfigError, MissingExtra, ModelError, UpstreamError
from pilotfish.model import Request
from pilotfish.serve.settings import Settings
from tests.fakes import ScriptedModel
from tests.serve.gateways import events, running

CHAT = {"model": "small", "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("body", "status", "said", "param"),
    [
        (b"", 400, "no JSON", None),
        (b'{"model": "small"', 400, "no JSON", None),
        (b"[" * 100_000, 400, "no JSON", None),
        (b'{"model": "\xff"}', 400, "no JSON", None),
        ([1], 400, "must be a JSON object", None),
        ({"messages": []}, 400, "model must name", "model"),
        ({"model": 3}, 400, "model must name", "model"),
        ({"model": "smal"}, 404, "no model 'smal' here; did you mean 'small'", "model"),
        ({"model": "x" * 1_000_000}, 404, "… here", "model"),
        ({"model": "small"}, 400, "needs messages", None),
        ({"model": "small", "messages": "hi"}, 400, "needs messages", None),
        ({"model": "small", "messages": [{"content": "x"}]}, 400, "needs a role", None),
        ({"model": "small", "messages": [{"role": "user", "content": 3}]}, 400, "content must be text", None),
        (CHAT | {"max_tokens": 0}, 400, "max_tokens must be a whole number", "max_tokens"),
        (CHAT | {"max_tokens": True}, 400, "max_tokens must be a whole number", "max_tokens"),
        (CHAT | {"max_tokens": 101}, 400, "this gateway gives 100 at most", None),
        (CHAT | {"n": 9}, 400, "n must be a whole number, 1 to 8", "n"),
        (CHAT | {"temperature": "hot"}, 400, "temperature must be a number", "temperature"),
        (CHAT | {"temperature": 3}, 400, "temperature must be a number", "temperature"),
        (CHAT | {"seed": 1.5}, 400, "seed must be a whole number", "seed"),
        (CHAT | {"stop": [1]}, 400, "stop must be a text or a list", "stop"),
        (CHAT | {"tools": {}}, 400, "tools must be a list", "tools"),
        (CHAT | {"stream": "yes"}, 400, "stream must be true or false", "stream"),
        (CHAT | {"logprobs": 3}, 400, "logprobs must be true or false", "logprobs"),
        (CHAT | {"top_logprobs": 50}, 400, "top_logprobs must be a whole number", "top_logprobs"),
        (CHAT | {"functions": [{}]}, 400, "use tools", "functions"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(body: Any, status: int, said: str, param: str | None) -> None:
    model = ScriptedModel(name="small")
    with running({"small": model}, Settings(max_tokens=100, max_answers=8)) as gateway:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = gateway.client.post("/v1/chat/completions", headers={"content-type": "application/json"}, **content)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert said in error["message"]
    assert (error["param"], error["type"]) == (param, "not_found_error" if status == 404 else "invalid_request_error")
    assert model.calls == 0


def test_the_gateways_limit_of_tokens_holds_where_the_request_names_none() -> None:
    model = ScriptedModel(name="small")
    with running({"small": model}, Settings(max_tokens=100)) as gateway:
        gateway.chat("x")
        gateway.chat("x", max_tokens=7)
    assert [request.max_tokens for request in model.requests] == [100, 7]


URL = "http://10.1.2.3:8000/v1/chat/completions"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "code", "said", "after"),
    [
        (ModelError("the prompt is too long"), 400, "model_error", "the prompt is too long", None),
        (UpstreamError(f"{URL} answered 429", status=429, retry_after=6.2), 429, "rate_limit_exceeded", "the end", "7"),
        (UpstreamError(f"{URL} answered 400: too long", status=400), 400, "upstream_refused", "too long", None),
        (UpstreamError(f"{URL} refused the key in $K", status=401), 502, "upstream_error", "refused the key", None),
        (UpstreamError(f"{URL} answered 404", status=404), 502, "upstream_error", "the endpoint answered 404", None),
        (UpstreamError(f"{URL} answered 500", status=500), 502, "upstream_error", "answered 500", None),
        (UpstreamError(f"{URL} answered 503", status=503, retry_after=3), 503, "upstream_overloaded", "503", "3"),
        (UpstreamError(f"{URL} gave no answer within 3 s"), 504, "upstream_timeout", "no answer within", None),
        (UpstreamError(f"{URL} cannot be reached: refused"), 502, "upstream_error", "cannot be reached", None),
        (ConfigError("the key in $K holds characters"), 500, "configuration_error", "not set up for this", None),
        (MissingExtra("torch is not installed"), 500, "configuration_error", "torch", None),
        (RuntimeError("secret detail"), 500, "internal_error", "an error inside the gateway", None),
    ],
)
def test_a_model_that_fails_has_a_status_of_its_own(
    error: Exception, status: int, code: str, said: str, after: str | None, stream: bool
) -> None:
    with running({"small": ScriptedModel(lambda _: error, name="small")}) as gateway:
        answer = gateway.chat("x", stream=stream)
        told = answer.json()["error"]
        assert gateway.metrics()[f'pilotfish_errors_total{{model="small",status="{status}"}}'] == 1
    assert (answer.status_code, told["code"]) == (status, code)
    assert said in told["message"]
    assert answer.headers.get("retry-after") == after
    assert "10.1.2.3" not in answer.text
    assert "secret detail" not in answer.text


def test_endpoints_are_shown_where_the_settings_say_so() -> None:
    model = ScriptedModel(lambda _: UpstreamError(f"{URL} answered 500", status=500), name="small")
    with running({"small": model}, Settings(show_endpoints=True)) as gateway:
        assert "10.1.2.3" in gateway.chat("x").text


def test_a_bug_is_in_the_log_with_its_request(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.ERROR, "pilotfish.serve"),
        running({"small": ScriptedModel(lambda _: RuntimeError("oh"), name="small")}) as gateway,
    ):
        answer = gateway.chat("x")
    (record,) = [record for record in caplog.records if record.name == "pilotfish.serve"]
    assert answer.headers["x-request-id"] in record.getMessage()
    assert record.exc_info is not None
    assert "x" not in [str(part) for part in (record.args or ())]  # not what was asked


class Breaking(ScriptedModel):
    """Fails in the middle of a stream."""

    async def stream(self, request: Request) -> Any:
        count = 0
        async for delta in super().stream(request):
            count += 1
            if count == 3:
                raise UpstreamError(f"{URL} dropped the connection", status=None)
            yield delta


def test_a_stream_that_breaks_off_says_so_and_is_not_taken_for_whole() -> None:
    with running({"small": Breaking("one two three", name="small")}) as gateway:
        *chunks, last = events(gateway.chat("x", stream=True))
        assert gateway.metrics()['pilotfish_errors_total{model="small",status="502"}'] == 1
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == "one two"
    assert last["error"]["message"] == "the endpoint dropped the connection"


def test_too_slow_a_model_is_a_504() -> None:
    model = ScriptedModel("x y", name="small", delay=5)
    with running({"small": model}, Settings(timeout=0.1)) as gateway:
        assert gateway.chat("x").status_code == 504
        assert gateway.chat("x", stream=True).json()["error"]["type"] == "timeout_error"
    assert model.cancelled == 2


def test_what_is_not_there() -> None:
    with running({"small": ScriptedModel(name="small")}) as gateway:
        assert gateway.client.get("/nowhere").status_code == 404
        assert gateway.client.post("/v1/audio/speech", json={}).status_code == 404
        wrong = gateway.client.get("/v1/chat/completions")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


def test_what_a_page_elsewhere_may_send_unasked_is_refused() -> None:
    model = ScriptedModel(name="small")
    with running({"small": model}) as gateway:
        answer = gateway.client.post("/v1/chat/completions", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
