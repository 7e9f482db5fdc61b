"""The words every other file speaks: Model, Request, Reply, Delta, Trace, Call, Usage.

A collaboration of models is a model: whatever wraps models implements `Model` too, so it nests anywhere a model goes.
A reply carries the `Trace` of every model call made on the way, so its cost is the sum over all attempts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Call",
    "Decision",
    "Delta",
    "Message",
    "Model",
    "Price",
    "Reply",
    "Request",
    "Scored",
    "Source",
    "TokenLogprob",
    "ToolCall",
    "Trace",
    "Usage",
    "WhiteBoxModel",
    "WholeReplies",
]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the model asks the caller to run; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str

    def to_json(self) -> dict[str, Any]:
        """Return the chat-completions form."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ToolCall:
        """Read the chat-completions form."""
        function = data.get("function") or {}
        return cls(str(data.get("id") or ""), str(function.get("name") or ""), str(function.get("arguments") or ""))


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    `content` is text, or a tuple of content parts (dicts as in chat-completions) for models that take more than text.
    """

    role: str
    content: str | tuple[Mapping[str, Any], ...] = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The text of the message; the text parts joined where the content is in parts."""
        if isinstance(self.content, str):
            return self.content
        return "".join(str(part.get("text", "")) for part in self.content if part.get("type") == "text")

    def to_json(self) -> dict[str, Any]:
        """Return the chat-completions form, without the fields that are empty."""
        content: Any = self.content if isinstance(self.content, str) else [dict(part) for part in self.content]
        data: dict[str, Any] = {"role": self.role, "content": content}
        if self.name is not None:
            data["name"] = self.name
        if self.tool_calls:
            data["tool_calls"] = [call.to_json() for call in self.tool_calls]
        if self.tool_call_id is not None:
            data["tool_call_id"] = self.tool_call_id
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Message:
        """Read the chat-completions form.

        Raises:
            ConfigError: `role` is missing, `content` is neither text, parts nor null, or `tool_calls` are no list.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("role"), str):
            raise ConfigError('a message needs a role: {"role": "user", "content": "…"}')
        content = data.get("content")
        if content is None:
            content = ""
        elif isinstance(content, list | tuple):
            if not all(isinstance(part, Mapping) for part in content):
                raise ConfigError('a message\'s content parts must be objects: {"type": "text", "text": "…"}')
            content = tuple(content)
        elif not isinstance(content, str):
            raise ConfigError(f"a message's content must be text or a list of parts, not {type(content).__name__}")
        asked = data.get("tool_calls") or ()
        if not isinstance(asked, list | tuple) or not all(isinstance(call, Mapping) for call in asked):
            raise ConfigError("a message's tool_calls must be a list of objects")
        calls = tuple(ToolCall.from_json(call) for call in asked)
        return cls(data["role"], content, data.get("name"), calls, data.get("tool_call_id"))


@dataclass(frozen=True, slots=True)
class Request:
    """The chat-completions request that everybody knows.

    Fields left None are not sent, so the model's own default holds. `extra` carries further fields of an endpoint
    untouched; `metadata` is for the caller (row ids, tags), is never sent and is no part of the cache key.
    """

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int = 1
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, prompt: str | Request | Sequence[Mapping[str, Any]], **settings: Any) -> Request:
        """Make a request from a text (one user turn), a list of chat-completions messages, or a request.

        Keyword arguments set fields by name, e.g. `Request.of("Hello", max_tokens=8)`.
        """
        if isinstance(prompt, Request):
            return dataclasses.replace(prompt, **settings) if settings else prompt
        if isinstance(prompt, str):
            return cls(messages=(Message("user", prompt),), **settings)
        return cls(messages=tuple(Message.from_json(message) for message in prompt), **settings)

    @property
    def prompt(self) -> str:
        """The text of the last user turn, or of the last turn where no user spoke; empty without messages."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.text
        return self.messages[-1].text if self.messages else ""

    def with_(self, **changes: Any) -> Request:
        """Return a copy with the named fields changed."""
        return dataclasses.replace(self, **changes)

    def sampled(self, number: int, count: int) -> Any:
        """Return the number of a sample for one of `count` calls that answer this request, as `metadata["sample"]`.

        A store of replies must not give one of them again for another; a request that is itself a sample has others.
        """
        given = self.metadata.get("sample", 0)
        return given * count + number if isinstance(given, int) else [given, number]

    def with_prompt(self, text: str) -> Request:
        """Return a copy whose `prompt` is another text; what stands beside it, as images and other turns, stays."""
        users = [at for at, message in enumerate(self.messages) if message.role == "user"]
        if not self.messages:
            return dataclasses.replace(self, messages=(Message("user", text),))
        at = users[-1] if users else len(self.messages) - 1
        content = self.messages[at].content
        if not isinstance(content, str):
            content = ({"type": "text", "text": text}, *(part for part in content if part.get("type") != "text"))
        changed = dataclasses.replace(self.messages[at], content=text if isinstance(content, str) else content)
        return dataclasses.replace(self, messages=(*self.messages[:at], changed, *self.messages[at + 1 :]))

    def to_json(self) -> dict[str, Any]:
        """Return the chat-completions body, without `model` and without the fields that are unset."""
        data: dict[str, Any] = {"messages": [message.to_json() for message in self.messages]}
        for name in ("max_tokens", "temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            if value is not None:
                # 0 and 0.0 are equal, so their requests are, and so must their keys be.
                data[name] = int(value) if isinstance(value, float) and value.is_integer() else value
        if self.n != 1:
            data["n"] = self.n
        if self.stop:
            data["stop"] = list(self.stop)
        if self.logprobs:
            data["logprobs"] = True
            if self.top_logprobs:
                data["top_logprobs"] = self.top_logprobs
        if self.tools:
            data["tools"] = [dict(tool) for tool in self.tools]
        if self.tool_choice is not None:
            data["tool_choice"] = self.tool_choice
        if self.response_format is not None:
            data["response_format"] = dict(self.response_format)
        data.update(self.extra)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """Read a chat-completions body; fields this class does not know are kept in `extra` (but for `model`).

        Raises:
            ConfigError: `messages` is missing or not a list of messages; `stop` or `tools` are not what they must be.
        """
        messages = data.get("messages")
        if not isinstance(messages, list) or not messages:
            raise ConfigError("a request needs messages: a non-empty list of {role, content}")
        settings: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        known = {f.name for f in dataclasses.fields(cls)} - {"messages", "extra", "metadata"}
        for key, value in data.items():
            if key in ("messages", "model", "stream", "stream_options") or value is None:
                continue
            if key == "max_completion_tokens":
                settings["max_tokens"] = value
            elif key == "stop":
                settings["stop"] = (value,) if isinstance(value, str) else _items(key, value, str, "texts")
            elif key == "tools":
                settings["tools"] = _items(key, value, Mapping, "objects")
            elif key in known:
                settings[key] = value
            else:
                extra[key] = value
        return cls(messages=tuple(Message.from_json(m) for m in messages), extra=extra, **settings)

    def key(self) -> str:
        """Return canonical JSON of everything that can change the answer; equal requests have equal keys."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _items(key: str, value: Any, kind: Any, called: str) -> tuple[Any, ...]:
    """Return a list of one kind of thing as a tuple, or say that it is something else."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, kind) for item in value):
        raise ConfigError(f"{key} must be a list of {called}")
    return tuple(value)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float = 0.0
    output: float = 0.0

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return the dollars that this many tokens cost."""
        return (self.input * tokens_in + self.output * tokens_out) / 1e6


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens summed over any number of calls."""

    tokens_in: int = 0
    tokens_out: int = 0
    calls: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, self.calls + other.calls)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one model: what it took and what it cost.

    `cost` is in US dollars; None where the price is not known (0.0 for models on this machine, whose cost is seconds).
    `cached` calls were answered from a store: their tokens are shown, their cost is 0.
    """

    model: str
    role: str = "model"
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cost: float | None = 0.0
    cached: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a collaboration decided about a reply, e.g. `Decision("cascade", "deferred", -0.71, -0.35)`.

    `threshold` is what the score was held against, where there is one.
    """

    model: str
    verdict: str
    score: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that a reply was given to answer from.

    Attributes:
        number: by which the reply cites it.
        id: of the passage.
        title: of its document.
        document: the id of its document.
        start, end: where it lies in the document, in characters.
        score: by what found it.
        cited: whether the reply cites it.
        supported: the least that the passage bears out of what cites it, from 0 to 1; None where nothing was checked.
    """

    number: int
    id: str
    title: str = ""
    document: str = ""
    start: int = 0
    end: int = 0
    score: float = 0.0
    cited: bool = False
    supported: float | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Every call made for a reply, in order, every decision taken, and the passages that it was to answer from."""

    calls: tuple[Call, ...] = ()
    decisions: tuple[Decision, ...] = ()
    sources: tuple[Source, ...] = ()

    def __add__(self, later: Trace) -> Trace:
        return Trace(self.calls + later.calls, self.decisions + later.decisions, self.sources + later.sources)

    @property
    def usage(self) -> Usage:
        """Tokens of all calls, cached ones too."""
        return Usage(
            sum(call.tokens_in for call in self.calls),
            sum(call.tokens_out for call in self.calls),
            len(self.calls),
        )

    @property
    def cost(self) -> float | None:
        """US dollars over all calls; None where the price of any call is not known."""
        total = 0.0
        for call in self.calls:
            if call.cost is None:
                return None
            total += call.cost
        return total

    @property
    def seconds(self) -> float:
        """Seconds spent inside models, summed over calls (not wall time where calls ran side by side)."""
        return sum(call.seconds for call in self.calls)

    def to_json(self) -> dict[str, Any]:
        """Return calls, decisions and totals as plain data."""
        return {
            "calls": [dataclasses.asdict(call) for call in self.calls],
            "decisions": [dataclasses.asdict(decision) for decision in self.decisions],
            **({"sources": [dataclasses.asdict(source) for source in self.sources]} if self.sources else {}),
            "cost": self.cost,
            "seconds": self.seconds,
            "usage": dataclasses.asdict(self.usage),
        }


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """The natural-log probability of one token of the reply, and of its likeliest rivals (`top`, itself included)."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    `logprobs` has one entry a generated token where the model gives them, else None. A classifier gives one entry:
    the label and its probability, with the other labels as `top`. `choices` holds the further answers where the
    request asked for n > 1.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    logprobs: tuple[TokenLogprob, ...] | None = None
    trace: Trace = field(default_factory=Trace)
    choices: tuple[Reply, ...] = ()

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability a token, in nats; None where the model gave none."""
        if not self.logprobs:
            return None
        return sum(token.logprob for token in self.logprobs) / len(self.logprobs)

    @property
    def cost(self) -> float | None:
        """US dollars over every call on the way to this reply; None where a price is unknown."""
        return self.trace.cost

    @property
    def usage(self) -> Usage:
        """Tokens over every call on the way to this reply."""
        return self.trace.usage

    def after(self, *earlier: Reply) -> Reply:
        """Return this reply with the traces of earlier attempts put before its own, so they are paid for."""
        trace = Trace()
        for reply in earlier:
            trace = trace + reply.trace
        return dataclasses.replace(self, trace=trace + self.trace)

    def decided(self, model: str, verdict: str, score: float | None = None, threshold: float | None = None) -> Reply:
        """Return this reply with a decision of the collaboration `model` noted in its trace."""
        decision = Decision(model, verdict, score, threshold)
        return dataclasses.replace(self, trace=self.trace + Trace(decisions=(decision,)))

    def with_(self, **changes: Any) -> Reply:
        """Return a copy with the named fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed reply. The last one carries the whole `reply`, trace included; the others carry None."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    reply: Reply | None = None


@runtime_checkable
class Model(Protocol):
    """Anything that answers requests: a local or remote model, a recording, a classifier, or a nesting of models."""

    @property
    def name(self) -> str:
        """The name that traces and reports show."""

    async def reply(self, request: Request) -> Reply:
        """Answer the request.

        Raises:
            ModelError: the model cannot answer this request.
            UpstreamError: a remote endpoint failed after its retries.
        """

    def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Answer piece by piece; the last delta carries the whole reply. One answer only: never two spliced."""


class WholeReplies:
    """Mixin for models that cannot stream: the whole reply is one delta."""

    async def reply(self, request: Request) -> Reply:
        """Answer the request; the class that mixes this in says how."""
        raise NotImplementedError

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Yield the whole reply as one delta."""
        reply = await self.reply(request)
        yield Delta(text=reply.text, tool_calls=reply.tool_calls, reply=reply)


@dataclass(frozen=True, slots=True)
class Scored:
    """The log-probabilities of a continuation's tokens given its context.

    Attributes:
        logprobs: one natural-log probability a continuation token.
        tokens: the ids of those tokens.
        greedy: True where every token was also the likeliest one.
    """

    logprobs: tuple[float, ...]
    tokens: tuple[int, ...]
    greedy: bool

    @property
    def total(self) -> float:
        """The log-probability of the whole continuation given its context, in nats."""
        return sum(self.logprobs)

    @property
    def mean(self) -> float:
        """Nats a token; 0 for an empty continuation."""
        return self.total / len(self.logprobs) if self.logprobs else 0.0


@runtime_checkable
class WhiteBoxModel(Model, Protocol):
    """A model whose weights are here, so its probabilities and hidden states can be read."""

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""

    def score(self, pairs: Iterable[tuple[str, str]]) -> list[Scored]:
        """Return log p(continuation | context) for each (context, continuation), tokenised jointly."""

    def next_logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the unnormalised next-token logits after each text: (texts, vocabulary)."""

    def hidden(self, texts: Sequence[str], layer: int = -1) -> list[NDArray[np.float32]]:
        """Return the hidden states of a layer, one (tokens, width) array a text."""
