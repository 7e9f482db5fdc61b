"""The bodies that go over the wire: our Request as JSON, and JSON or stream events as our Reply.

Source: the OpenAI API reference, "Create chat completion" and "Create completion (legacy)".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pilotfish.errors import ConfigError, ModelError, did_you_mean
from pilotfish.model import Call, Price, Reply, Request, TokenLogprob, ToolCall, Trace
from pilotfish.models._http_errors import AttemptError, tidy

__all__ = ["PATHS", "Api", "Assembly", "body_of", "check_api", "hash_of", "traced"]

Api: TypeAlias = Literal["chat", "completions"]
PATHS: dict[str, str] = {"chat": "/chat/completions", "completions": "/completions"}


def check_api(api: str) -> None:
    """Refuse a word that is no kind of endpoint.

    Raises:
        ConfigError: it is none.
    """
    if api not in PATHS:
        raise ConfigError(f"api {api!r} is not one of {', '.join(PATHS)}{did_you_mean(str(api), PATHS)}")


def body_of(request: Request, model: str, api: Api, extra: Mapping[str, Any], limit_field: str) -> dict[str, Any]:
    """Return the request's JSON body; the request's own fields win over `extra`.

    A completions endpoint gets the messages' texts, joined by blank lines, as its prompt.

    Raises:
        ModelError: the request has tools, which a completions endpoint cannot take.
    """
    body = {**extra, "model": model, **request.to_json()}
    if "max_tokens" in body and limit_field != "max_tokens":
        body[limit_field] = body.pop("max_tokens")
    if api == "chat":
        return body
    if request.tools or any(message.tool_calls for message in request.messages):
        raise ModelError(f'{model}: a completions endpoint takes no tools; use api="chat"')
    del body["messages"]
    body["prompt"] = "\n\n".join(message.text for message in request.messages)
    if body.pop("logprobs", False):
        # Here `logprobs` is a count; some servers read 0 as "none", so ask for 1 at least.
        body["logprobs"] = max(1, body.pop("top_logprobs", 1))
    return body


def hash_of(url: str, api: Api, body: Mapping[str, Any], request: Request) -> bytes:
    """Return a request's key, 32 bytes: all that can change the answer, the sample's number too; never the secret."""
    whole = [url, api, body, request.metadata.get("sample")]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).digest()


def traced(assembly: Assembly, name: str, price: Price | None, seconds: float, notes: str = "") -> Reply:
    """Return the answer with its one call: tokens as the endpoint counted them, at the price that is known.

    Raises:
        AttemptError: no choice came.
    """
    tokens = assembly.tokens
    why = "; ".join(part for part in (notes, "no usage reported" if tokens is None else "") if part)
    cost = None if tokens is None or price is None else price.cost(*tokens)
    tokens_in, tokens_out = tokens or (0, 0)
    call = Call(name, "model", tokens_in, tokens_out, seconds, cost, why=why)
    return assembly.reply().with_(trace=Trace((call,)))


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class _Choice:
    """One answer as far as it has come."""

    text: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: str = ""

    def reply(self, asked_logprobs: bool) -> Reply:
        calls = tuple(ToolCall(c.id, c.name, c.arguments) for _, c in sorted(self.calls.items()))
        logprobs = tuple(self.logprobs) if self.logprobs or (asked_logprobs and not self.text) else None
        return Reply("".join(self.text), calls, self.finish or "stop", logprobs)


class Assembly:
    """Gathers a whole body, or a stream's events, into a Reply.

    Attributes:
        tokens: (in, out) from the endpoint's usage; None where it reports none.
    """

    def __init__(self, url: str, logprobs: bool) -> None:
        self._url = url
        self._asked = logprobs
        self._choices: dict[int, _Choice] = {}
        self.tokens: tuple[int, int] | None = None

    def add(self, data: Any) -> str:
        """Take in a body or an event; return the text that it adds to the first answer.

        Raises:
            AttemptError: it is an error, or has not the form of an answer.
        """
        if isinstance(data, Mapping) and data.get("error"):
            raise self._error(data["error"])
        if not isinstance(data, Mapping) or not isinstance(data.get("choices"), list):
            raise AttemptError(f"{self._url} sent JSON that is no completion: it has no list of choices")
        try:
            return self._add(data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise AttemptError(f"{self._url} sent a completion of unknown form: {tidy(repr(error))}") from None

    def _add(self, data: Mapping[str, Any]) -> str:
        usage = data.get("usage")
        if usage:
            self.tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
        added = ""
        for position, choice in enumerate(data["choices"]):
            index = choice.get("index")
            index = index if isinstance(index, int) else position
            text = self._take(self._choices.setdefault(index, _Choice()), choice)
            added += text if index == 0 else ""
        return added

    def reply(self) -> Reply:
        """Return the answer, without a trace; further answers are its `choices`.

        Raises:
            AttemptError: no choice came.
        """
        if not self._choices:
            raise AttemptError(f"{self._url} sent an answer with empty choices")
        first, *others = (choice.reply(self._asked) for _, choice in sorted(self._choices.items()))
        return first.with_(choices=tuple(others))

    def _take(self, to: _Choice, choice: Mapping[str, Any]) -> str:
        # A whole chat answer has `message`, an event `delta`, a completions answer `text` in the choice itself.
        said = choice.get("message") or choice.get("delta") or choice
        text = _text(said.get("content") or said.get("refusal") or said.get("text"))
        if text:
            to.text.append(text)
        for position, call in enumerate(said.get("tool_calls") or ()):
            merge = to.calls.setdefault(call.get("index", position), _Call())
            function = call.get("function") or {}
            merge.id = merge.id or str(call.get("id") or "")
            merge.name += str(function.get("name") or "")
            merge.arguments += str(function.get("arguments") or "")
        to.logprobs.extend(_logprobs(choice.get("logprobs")))
        to.finish = str(choice.get("finish_reason") or to.finish)
        return text

    def _error(self, error: Any) -> AttemptError:
        """Return the fault for an error sent with status 200, as streams must send theirs."""
        said = error.get("message") if isinstance(error, Mapping) else error
        code = error.get("code") if isinstance(error, Mapping) else None
        status = int(code) if isinstance(code, int | str) and str(code).isdigit() else None
        refused = status is not None and 400 <= status < 500 and status not in (408, 409, 425, 429)
        return AttemptError(f"{self._url} sent an error: {tidy(str(said))}", retry=not refused, status=status)


def _text(content: Any) -> str:
    if isinstance(content, Sequence) and not isinstance(content, str):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def _logprobs(data: Any) -> Iterator[TokenLogprob]:
    """Read both forms: chat's list of objects, and completions' parallel lists."""
    if not isinstance(data, Mapping):
        return
    for row in data.get("content") or data.get("refusal") or ():
        top = tuple((str(rival["token"]), float(rival["logprob"])) for rival in row.get("top_logprobs") or ())
        yield TokenLogprob(str(row["token"]), float(row["logprob"]), top)
    tokens, scores = data.get("tokens") or (), data.get("token_logprobs") or ()
    tops = data.get("top_logprobs") or [None] * len(tokens)
    for token, score, rivals in zip(tokens, scores, tops, strict=False):
        if score is not None:  # an echoed prompt's first token has no probability
            ranked = sorted((rivals or {}).items(), key=lambda rival: -rival[1])
            yield TokenLogprob(str(token), float(score), tuple((str(t), float(p)) for t, p in ranked))
