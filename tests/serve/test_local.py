"""Models on this machine behind the gateway: requests that come together share steps, and each gets its own answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.infer import Cascade
from pilotfish.infer.accept import Above
from pilotfish.model import Model
from pilotfish.models.local import LocalModel
from tests.fakes import ScriptedModel
from tests.serve.gateways import events, running, until
from tests.serve.test_cancel import asked

PROMPTS = ["the small fish", "a shark", "swims with", "one two three", "who is it", "the sea"]


def test_answers_asked_together_are_those_asked_alone(tiny_lm: LocalModel) -> None:
    alone = [ask(tiny_lm, prompt, max_tokens=12).text for prompt in PROMPTS]
    models: dict[str, Model] = {"tiny": tiny_lm}
    with running(models) as gateway, ThreadPoolExecutor(len(PROMPTS)) as threads:

        def whole(prompt: str) -> str:
            choice: dict[str, Any] = gateway.chat(prompt, "tiny", max_tokens=12).json()["choices"][0]
            return str(choice["message"]["content"])

        def streamed(prompt: str) -> str:
            *chunks, done = events(gateway.chat(prompt, "tiny", max_tokens=12, stream=True))
            assert done == "[DONE]"
            return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)

        assert list(threads.map(whole, PROMPTS)) == alone
        assert list(threads.map(streamed, PROMPTS)) == alone


def test_logprobs_several_answers_and_a_schema(tiny_lm: LocalModel) -> None:
    models: dict[str, Model] = {"tiny": tiny_lm}
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    schema["additionalProperties"] = False
    with running(models) as gateway:
        fields: dict[str, Any] = {"logprobs": True, "top_logprobs": 2, "n": 2, "temperature": 1.0, "seed": 1}
        told = gateway.chat("x", "tiny", max_tokens=4, **fields).json()
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
        shaped = gateway.chat("x", "tiny", max_tokens=40, response_format=form).json()
    assert [choice["index"] for choice in told["choices"]] == [0, 1]
    rows = told["choices"][0]["logprobs"]["content"]
    assert 1 <= len(rows) <= 4
    assert all(row["logprob"] <= 0 and len(row["top_logprobs"]) == 2 for row in rows)
    assert "".join(shaped["choices"][0]["message"]["content"].split()).startswith('{"a":')


def test_too_long_a_prompt_and_an_unknown_setting_are_the_clients_to_mend(tiny_lm: LocalModel) -> None:
    models: dict[str, Model] = {"tiny": tiny_lm}
    with running(models) as gateway:
        long = gateway.chat("word " * 5000, "tiny")
        unknown = gateway.chat("x", "tiny", temprature=1)
    assert (long.status_code, unknown.status_code) == (400, 400)
    assert "shorten it" in long.json()["error"]["message"]
    assert "did you mean 'temperature'" in unknown.json()["error"]["message"]


def test_a_client_that_leaves_frees_its_row(tiny_lm: LocalModel) -> None:
    models: dict[str, Model] = {"tiny": tiny_lm}
    with running(models) as gateway:
        with asked(gateway, model="tiny", stream=True, max_tokens=100) as client:
            assert client.recv(4096)
        assert until(lambda: gateway.gateway.in_flight == 0)
        assert gateway.chat("x", "tiny", max_tokens=2).status_code == 200


@pytest.mark.parametrize("above", [-1000.0, 0.0])
def test_a_local_model_before_a_remote_one(tiny_lm: LocalModel, above: float) -> None:
    both = Cascade(tiny_lm, ScriptedModel("large", name="large"), Above("mean-logprob", above), name="both")
    with running({"both": both}) as gateway:
        answer = gateway.chat("x", "both", max_tokens=3)
    trusted = above < 0
    assert answer.headers["x-pilotfish-model"] == ("tiny" if trusted else "large")
    assert answer.headers["x-pilotfish-attempts"] == ("1" if trusted else "2")
