"""Chat completions: a body in, a body or a stream of chunks out.

Source: the OpenAI API reference, "Create chat completion" and "The chat completion chunk object".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Reply, Request, TokenLogprob, ToolCall, Usage
from pilotfish.serve._faults import Fault
from pilotfish.serve._fields import check_fields, whole
from pilotfish.serve._visit import Visit
from pilotfish.serve.settings import Settings

__all__ = ["LEAST", "Chunks", "chat_json", "chat_request", "finite", "limited", "usage_json"]

LEAST = -9999.0


def chat_request(data: Mapping[str, Any], settings: Settings) -> Request:
    """Return the request in a body, within the gateway's limits.

    Raises:
        Fault: 400, a field is not what it must be, or more is asked for than is given here.
    """
    check_fields(data, n=whole(1, settings.max_answers))
    if data.get("functions") or data.get("function_call"):
        raise Fault(400, "functions are the old form of tools: use tools", "unsupported_parameter", param="functions")
    try:
        request = Request.from_json(data)
    except ConfigError as error:
        raise Fault(400, str(error), "invalid_value") from None
    return limited(request, settings)


def limited(request: Request, settings: Settings) -> Request:
    """Return the request with the gateway's limit of tokens where it names none.

    Raises:
        Fault: 400, it asks for more.
    """
    most = settings.max_tokens
    if most is None:
        return request
    if request.max_tokens is None:
        return request.with_(max_tokens=most)
    if request.max_tokens > most:
        raise Fault(
            400, f"max_tokens is {request.max_tokens}; this gateway gives {most} at most", "max_tokens_exceeded"
        )
    return request


def finite(value: float) -> float:
    """Return a log-probability that JSON can carry: what is impossible is -9999, as other servers have it."""
    return value if value > LEAST else LEAST


def usage_json(usage: Usage) -> dict[str, int]:
    """Return the tokens of all attempts together."""
    return {
        "prompt_tokens": usage.tokens_in,
        "completion_tokens": usage.tokens_out,
        "total_tokens": usage.tokens_in + usage.tokens_out,
    }


def chat_json(visit: Visit, reply: Reply) -> dict[str, Any]:
    """Return the whole answer's body."""
    assert visit.request is not None
    wants = visit.request.logprobs
    return {
        "id": visit.id,
        "object": "chat.completion",
        "created": int(visit.time),
        "model": visit.model,
        "choices": [_choice(i, one, wants) for i, one in enumerate((reply, *reply.choices))],
        "usage": usage_json(reply.usage),
        "system_fingerprint": None,
        **_sources(reply),
    }


def _sources(reply: Reply) -> dict[str, Any]:
    """Return the passages that an answer stands on, in a field of ours; nothing where it was given none."""
    found = [asdict(source) | {"score": finite(source.score)} for source in reply.trace.sources]
    return {"pilotfish": {"sources": found}} if found else {}


def _choice(index: int, reply: Reply, wants: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.tool_calls:
        message["content"] = reply.text or None
        message["tool_calls"] = [call.to_json() for call in reply.tool_calls]
    return {
        "index": index,
        "message": message,
        "logprobs": _logprobs(reply.logprobs) if wants else None,
        "finish_reason": reply.finish_reason,
    }


def _logprobs(tokens: Iterable[TokenLogprob] | None) -> dict[str, Any] | None:
    if tokens is None:
        return None
    return {"content": [_token(one.token, one.logprob, one.top) for one in tokens], "refusal": None}


def _token(token: str, logprob: float, top: Iterable[tuple[str, float]] | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"token": token, "logprob": finite(logprob), "bytes": list(token.encode("utf-8", "replace"))}
    if top is not None:
        row["top_logprobs"] = [_token(rival, value) for rival, value in top]
    return row


class Chunks:
    """The chunks of one streamed chat, as data; `text` is by far the most frequent, so its bytes are made directly.

    Args:
        visit: the request.
        usage: whether the client wants the usage, which comes in a chunk of its own at the end.
    """

    def __init__(self, visit: Visit, usage: bool) -> None:
        self._visit = visit
        self._usage = usage
        self._calls = 0

    def opening(self) -> dict[str, Any]:
        """Return the first chunk, which tells the role."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str, index: int = 0) -> dict[str, Any]:
        """Return a piece of the answer."""
        return self._chunk({"content": text}, index)

    def calls(self, calls: Iterable[ToolCall], index: int = 0, start: int = 0) -> dict[str, Any]:
        """Return tool calls, each whole; `start` is the number of the first."""
        rows = [{"index": at, **call.to_json()} for at, call in enumerate(calls, start)]
        return self._chunk({"tool_calls": rows}, index)

    def ending(self, reply: Reply, index: int = 0) -> dict[str, Any]:
        """Return the last chunk of an answer: why it ended, and the log-probabilities of all its tokens."""
        assert self._visit.request is not None
        wanted = _logprobs(reply.logprobs) if self._visit.request.logprobs else None
        return self._chunk({}, index, reply.finish_reason, wanted) | _sources(reply)

    def usage(self, reply: Reply) -> dict[str, Any]:
        """Return the chunk with the usage of all attempts, and what the headers could not tell yet."""
        return self._base([]) | {"usage": usage_json(reply.usage), "pilotfish": self._visit.told()}

    def _chunk(
        self, delta: dict[str, Any], index: int = 0, finish: str | None = None, logprobs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._base([choice])

    def _base(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        visit = self._visit
        data: dict[str, Any] = {
            "id": visit.id,
            "object": "chat.completion.chunk",
            "created": int(visit.time),
            "model": visit.model,
            "choices": choices,
            "system_fingerprint": None,
        }
        if self._usage:
            data["usage"] = None
        return data
