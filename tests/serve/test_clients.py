"""The clients that people use, against the gateway: the `openai` SDK and LangChain, over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from pilotfish.errors import UpstreamError
from pilotfish.infer import Cascade
from pilotfish.infer.accept import Above
from pilotfish.model import Reply, Request, TokenLogprob, ToolCall
from pilotfish.models.encoder import Encoder
from pilotfish.serve.keys import Keys, new_key
from tests.fakes import ScriptedModel
from tests.serve.gateways import Running, running

SECRET, DIGEST = new_key()


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    days: int


CITY = Weather(city="Faro", days=3)
TOOL: Any = {
    "type": "function",
    "function": {"name": "Weather", "description": "The weather.", "parameters": Weather.model_json_schema()},
}


def said(request: Request) -> str | Reply | Exception:
    """Answer as the request asks: a call, an object, or words."""
    if request.prompt == "busy":
        return UpstreamError("the endpoint answered 429", status=429, retry_after=0.01)
    if request.tools and request.messages[-1].role != "tool":
        return Reply("", (ToolCall("call_1", "Weather", CITY.model_dump_json()),), "tool_calls")
    if request.response_format is not None:
        return CITY.model_dump_json()
    if request.logprobs:
        tokens = tuple(TokenLogprob(word, -0.25, ((word, -0.25), ("x", -2.0))) for word in ("small", " fish"))
        return Reply("small fish", logprobs=tokens)
    return f"echo: {request.prompt}"


@pytest.fixture
def gateway(tiny_encoder: Encoder) -> Iterator[Running]:
    """Serve a small and a large model, a cascade of the two, and an encoder, for one key."""
    small, large = ScriptedModel(said, name="small"), ScriptedModel(said, name="large")
    both = Cascade(small, large, lambda request, reply: Above("mean-logprob", 0.0)(request, _sure(reply)), name="both")
    keys = Keys([{"name": "ann", "sha256": DIGEST}])
    with running({"small": small, "both": both}, encoders={"tiny": tiny_encoder}, keys=keys) as it:
        yield it


def _sure(reply: Reply) -> Reply:
    return reply.with_(logprobs=(TokenLogprob("a", -1.0),))


@pytest.fixture
def client(gateway: Running) -> Iterator[openai.OpenAI]:
    """The SDK's client; it does not try again, so that what it raises is what it got."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=SECRET, max_retries=0) as it:
        yield it


ASKED: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who swims?"}]


def test_a_chat(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="both", messages=ASKED, temperature=0, max_tokens=9)
    answer = raw.parse()
    assert answer.choices[0].message.content == "echo: Who swims?"
    assert answer.usage is not None
    assert answer.usage.total_tokens == (4 + 2) + (4 + 3)  # both models were asked
    assert raw.headers["x-pilotfish-model"] == "large"
    assert raw.headers["x-pilotfish-verdict"] == "deferred"


def test_a_stream_with_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="small", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "echo: Who swims?"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert chunks[-1].model_extra is not None
    assert chunks[-1].model_extra["pilotfish"]["model"] == "small"


def test_the_streaming_helper_gathers_text_tools_and_logprobs(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="small", messages=ASKED, logprobs=True, top_logprobs=2) as stream:
        words = [event.delta for event in stream if event.type == "content.delta"]
        whole = stream.get_final_completion()
    assert words == ["", "small", " fish"]
    assert whole.choices[0].logprobs is not None
    assert [token.logprob for token in whole.choices[0].logprobs.content or ()] == [-0.25, -0.25]
    with client.chat.completions.stream(model="small", messages=ASKED, tools=[TOOL]) as stream:
        whole = stream.get_final_completion()
    (call,) = whole.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments) == CITY.model_dump()
    assert whole.choices[0].finish_reason == "tool_calls"


def test_a_tool_is_called_and_its_result_given_back(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="small", messages=ASKED, tools=[TOOL], tool_choice="auto")
    message: Any = first.choices[0].message
    (call,) = message.tool_calls or []
    assert call.type == "function"
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    turns = [*ASKED, message.model_dump(), result]
    second = client.chat.completions.create(model="small", messages=turns, tools=[TOOL])
    assert second.choices[0].message.content == "echo: Who swims?"


def test_parsed_outputs(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="small", messages=ASKED, response_format=Weather)
    assert answer.choices[0].message.parsed == CITY


def test_completions_embeddings_and_models(client: openai.OpenAI, tiny_encoder: Encoder) -> None:
    text = client.completions.create(model="small", prompt="ab", max_tokens=3)
    assert text.choices[0].text == "echo: ab"
    vectors = client.embeddings.create(model="tiny", input=["a fish"])  # the SDK asks for base64 by itself
    assert np.allclose(vectors.data[0].embedding, tiny_encoder.encode(["a fish"])[0], atol=1e-6)
    assert [model.id for model in client.models.list()] == ["small", "both", "tiny"]


def test_errors_are_the_sdks_own(client: openai.OpenAI, gateway: Running) -> None:
    def create(model: str = "small", **fields: Any) -> Any:
        return client.chat.completions.create(**{"model": model, "messages": ASKED, **fields})

    with pytest.raises(openai.NotFoundError, match="did you mean 'small'"):
        create("smal")
    with pytest.raises(openai.BadRequestError, match="temperature must be"):
        create(temperature=9)
    with pytest.raises(openai.RateLimitError) as caught:
        create(messages=[{"role": "user", "content": "busy"}])
    assert caught.value.response.headers["retry-after"] == "1"
    stranger = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-other", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="small", messages=ASKED)


def test_an_error_in_the_middle_of_a_stream_is_raised(gateway: Running) -> None:
    from tests.serve.test_faults import Breaking

    gateway.gateway.models["small"] = Breaking("one two three", name="small")
    got = ""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=SECRET, max_retries=0) as client:
        stream = client.chat.completions.create(model="small", messages=ASKED, stream=True)
        with pytest.raises(openai.APIError, match="dropped the connection"):
            for chunk in stream:
                got += chunk.choices[0].delta.content or ""
    assert got == "one two"


def test_the_asynchronous_client(gateway: Running) -> None:
    async def run() -> tuple[list[str], str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=SECRET, max_retries=0) as client:

            async def one(i: int) -> str:
                message: Any = {"role": "user", "content": f"q{i}"}
                answer = await client.chat.completions.create(model="small", messages=[message])
                return answer.choices[0].message.content or ""

            texts = await asyncio.gather(*map(one, range(20)))
            words = ""
            async for chunk in await client.chat.completions.create(model="small", messages=ASKED, stream=True):
                words += chunk.choices[0].delta.content or ""
            return texts, words

    texts, words = asyncio.run(run())
    assert texts == [f"echo: q{i}" for i in range(20)]
    assert words == "echo: Who swims?"


@pytest.fixture
def chain(gateway: Running) -> ChatOpenAI:
    """LangChain's client."""
    return ChatOpenAI(model="small", base_url=f"{gateway.url}/v1", api_key=SECRET, max_retries=0, stream_usage=True)  # type: ignore[arg-type]


def test_langchain_chats_and_streams(chain: ChatOpenAI) -> None:
    messages = [SystemMessage("Be brief."), HumanMessage("Who swims?")]
    whole = chain.invoke(messages)
    assert whole.content == "echo: Who swims?"
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == 3
    pieces = list(chain.stream(messages))
    assert "".join(str(piece.content) for piece in pieces) == "echo: Who swims?"
    assert [text.content for text in chain.batch(["a", "b"])] == ["echo: a", "echo: b"]
    assert asyncio.run(chain.ainvoke("c")).content == "echo: c"


def test_langchain_calls_tools_and_fills_schemas(chain: ChatOpenAI) -> None:
    called = chain.bind_tools([Weather]).invoke("Faro?")
    assert called.tool_calls[0]["args"] == CITY.model_dump()
    for method in ("json_schema", "function_calling"):
        assert chain.with_structured_output(Weather, method=method).invoke("Faro?") == CITY


def test_langchain_embeds(gateway: Running, tiny_encoder: Encoder) -> None:
    embedder = OpenAIEmbeddings(
        model="tiny",
        base_url=f"{gateway.url}/v1",
        api_key=SECRET,  # type: ignore[arg-type]
        check_embedding_ctx_length=False,  # else it cuts with OpenAI's own tokenizer, which it would have to fetch
    )
    assert np.allclose(embedder.embed_query("a fish"), tiny_encoder.encode(["a fish"])[0], atol=1e-6)
