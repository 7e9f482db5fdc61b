"""Completions: texts and token ids, several at once, and the prompt's own log-probabilities."""

from __future__ import annotations

import math

import pytest

from pilotfish import ask
from pilotfish.model import Model
from pilotfish.models._tokens import encode
from pilotfish.models.local import LocalModel
from tests.fakes import ScriptedModel
from tests.serve.gateways import events, running

TEXT = "the small fish swims with the shark"


def upper(name: str = "small") -> ScriptedModel:
    return ScriptedModel(lambda request: request.prompt.upper(), name=name, logprob=-0.5)


def test_one_text_and_several() -> None:
    with running({"small": upper()}) as gateway:
        one = gateway.post("completions", {"model": "small", "prompt": "ab cd", "max_tokens": 5}).json()
        two = gateway.post("completions", {"model": "small", "prompt": ["ab", "cd"], "echo": True}).json()
    assert one["object"] == "text_completion"
    assert one["choices"] == [{"index": 0, "text": "AB CD", "logprobs": None, "finish_reason": "stop"}]
    assert one["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    assert [(choice["index"], choice["text"]) for choice in two["choices"]] == [(0, "abAB"), (1, "cdCD")]
    assert two["usage"]["total_tokens"] == 4


def test_sixteen_tokens_where_the_request_does_not_say() -> None:
    model = upper()
    with running({"small": model}) as gateway:
        gateway.post("completions", {"model": "small", "prompt": "a", "stop": ["x"], "temperature": 0.5})
    (request,) = model.requests
    assert (request.max_tokens, request.stop, request.temperature) == (16, ("x",), 0.5)


def test_logprobs_of_the_answer_in_parallel_lists() -> None:
    with running({"small": upper()}) as gateway:
        (choice,) = gateway.post("completions", {"model": "small", "prompt": "ab cd", "logprobs": 1}).json()["choices"]
    assert choice["logprobs"] == {
        "tokens": ["AB", " CD"],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"AB": -0.5}, {" CD": -0.5}],
        "text_offset": [0, 2],
    }


def test_a_stream_of_text() -> None:
    body = {"model": "small", "prompt": "ab cd", "stream": True, "stream_options": {"include_usage": True}}
    with running({"small": upper()}) as gateway:
        *chunks, last, done = events(gateway.post("completions", body))
    assert done == "[DONE]"
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["AB", " CD", ""]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["total_tokens"] == 4
    assert last["pilotfish"]["model"] == "small"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "prompt must be"),
        ({"prompt": []}, "prompt must be"),
        ({"prompt": {"a": 1}}, "prompt must be"),
        ({"prompt": ["a", 3]}, "each prompt must be"),
        ({"prompt": ["a"] * 40}, "prompt has 40 prompts"),
        ({"prompt": [1, 2]}, "token ids are for a model on this machine"),
        ({"prompt": "a", "echo": True, "logprobs": 1}, "does not tell the log-probabilities of a prompt"),
        ({"prompt": "a", "suffix": "b"}, "suffix is not supported"),
        ({"prompt": "a", "best_of": 3}, "best_of is not supported"),
        ({"prompt": "a", "logprobs": 99}, "logprobs must be a whole number"),
        ({"prompt": ["a", "b"], "stream": True}, "a stream is of one prompt"),
        ({"prompt": ["a"] * 20, "n": 2}, "20 prompts times n = 2"),
    ],
)
def test_what_cannot_be_done_is_told(fields: dict[str, object], said: str) -> None:
    with running({"small": upper()}) as gateway:
        answer = gateway.post("completions", {"model": "small", **fields})
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_a_model_on_this_machine_goes_on_from_the_bare_text(tiny_lm: LocalModel) -> None:
    ids = encode(tiny_lm.tokenizer, TEXT)
    expected = ask(tiny_lm, "ignored", max_tokens=6, metadata={"prompt_ids": ids}).text
    models: dict[str, Model] = {"tiny": tiny_lm}
    with running(models) as gateway:
        by_text = gateway.post("completions", {"model": "tiny", "prompt": TEXT, "max_tokens": 6}).json()
        by_ids = gateway.post("completions", {"model": "tiny", "prompt": ids, "max_tokens": 6}).json()
        both = gateway.post("completions", {"model": "tiny", "prompt": [ids, ids[:3]], "max_tokens": 6}).json()
    assert by_text["choices"][0]["text"] == by_ids["choices"][0]["text"] == both["choices"][0]["text"] == expected
    assert by_ids["usage"]["prompt_tokens"] == len(ids)


@pytest.mark.parametrize("max_tokens", [0, 1])
def test_the_prompts_own_log_probabilities_are_those_of_score(tiny_lm: LocalModel, max_tokens: int) -> None:
    ids = encode(tiny_lm.tokenizer, TEXT)
    body = {"model": "tiny", "prompt": [ids, ids[:4]], "max_tokens": max_tokens, "logprobs": 1, "echo": True}
    models: dict[str, Model] = {"tiny": tiny_lm}
    with running(models) as gateway:
        first, second = gateway.post("completions", body).json()["choices"]
    said = first["logprobs"]
    assert len(said["tokens"]) == len(ids) + max_tokens
    assert (said["token_logprobs"][0], said["top_logprobs"][0]) == (None, None)
    expected = tiny_lm._scored([(ids, 1)])[0]
    assert said["token_logprobs"][1 : len(ids)] == pytest.approx(expected.logprobs, abs=1e-4)
    assert second["logprobs"]["token_logprobs"][1:4] == pytest.approx(expected.logprobs[:3], abs=1e-4)
    for token, logprob, top in zip(
        said["tokens"][1:], said["token_logprobs"][1:], said["top_logprobs"][1:], strict=True
    ):
        assert top[token] == logprob
        assert max(top.values()) >= logprob
    assert first["text"].startswith(TEXT)


def test_probabilities_over_a_prompt_sum_to_one(tiny_lm: LocalModel) -> None:
    ids = encode(tiny_lm.tokenizer, TEXT)[:2]
    (positions,) = tiny_lm.prompt_logprobs([ids], top=100_000)
    ((logprob, rivals),) = positions
    assert sum(math.exp(value) for _, value in rivals) == pytest.approx(1, abs=1e-4)
    assert dict(rivals)[ids[1]] == pytest.approx(logprob)


def test_one_of_several_prompts_that_fails_is_told_as_it_is() -> None:
    from pilotfish.errors import UpstreamError

    busy = UpstreamError("answered 429", status=429, retry_after=3)
    model = ScriptedModel(lambda request: busy if request.prompt == "b" else "x", name="small")
    with running({"small": model}) as gateway:
        answer = gateway.post("completions", {"model": "small", "prompt": ["a", "b", "c"]})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")


def test_a_chat_and_a_completion_of_the_same_words_do_not_share_an_answer() -> None:
    from pilotfish.serve.answers import ResponseCache

    model = upper()
    with running({"small": model}, answers=ResponseCache()) as gateway:
        for _ in range(2):
            gateway.chat("ab", max_tokens=16)
            gateway.post("completions", {"model": "small", "prompt": "ab"})
    assert model.calls == 2
