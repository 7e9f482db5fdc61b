"""What the scripted upstream says: the bodies of chat completions, completions, embeddings and models."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]

PATHS = {"/chat/completions", "/completions", "/embeddings", "/models"}


@dataclass(frozen=True)
class Answer:
    """One scripted answer; the defaults are a sound one that echoes the prompt.

    `text` may be a function of the request's body. Faults: `status`, `raw` (sent as the body, whatever it is),
    `content_type`, `hang` (never answers), `drop_after` (closes the connection after that many events, or half-way
    through a whole body), `drip` (seconds before each event, or each byte of a whole body).
    """

    text: str | Callable[[Body], str] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str | None = None
    delay: float = 0.0
    hang: bool = False
    drop_after: int | None = None
    drip: float = 0.0
    usage: bool = True
    done: bool = True
    empty: bool = False
    finish: str = "stop"
    tool_calls: Sequence[tuple[str, str, str]] = ()
    write_bytes: int | None = None
    newline: str = "\n"
    comments: bool = False

    @property
    def at_once(self) -> bool:
        """Whether the answer is one write, without waits."""
        return not (self.delay or self.hang or self.drip or self.write_bytes or self.drop_after is not None)


def rate_limited(retry_after: str | float | None = None) -> Answer:
    """Return a 429; `retry_after` is sent as it is."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return failing(429, "Rate limit reached", headers)


def failing(status: int = 500, message: str = "scripted failure", headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error in OpenAI's form."""
    raw = json.dumps({"error": {"message": message, "type": "scripted", "code": None}}).encode()
    return Answer(status=status, raw=raw, headers=headers or {})


def malformed() -> Answer:
    """Return a body that says it is JSON and is not."""
    return Answer(raw=b'{"choices": [{"mess', content_type="application/json")


def wrong_type() -> Answer:
    """Return a web page with status 200, as captive portals and wrong base URLs give."""
    return Answer(raw=b"<html><body>Welcome</body></html>", content_type="text/html")


def redirect(url: str, status: int = 307) -> Answer:
    """Return a redirect."""
    return Answer(status=status, headers={"Location": url}, raw=b"")


def prompt_of(body: Body) -> str:
    """Return the last user turn of a chat body, or the prompt of a completions body."""
    for message in reversed(body.get("messages") or []):
        if message.get("role") == "user":
            content = message.get("content") or ""
            return content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)
    prompt = body.get("prompt", body.get("input", ""))
    return prompt if isinstance(prompt, str) else json.dumps(prompt)


def pieces(text: str) -> list[str]:
    """Return the words of a text, each with the space before it; joined they give the text."""
    return re.findall(r"\s*\S+|\s+$", text)


def _text(answer: Answer, body: Body) -> str:
    if callable(answer.text):
        return answer.text(body)
    return f"echo: {prompt_of(body)}" if answer.text is None else answer.text


def _usage(body: Body, text: str) -> Body:
    tokens_in, tokens_out = len(pieces(prompt_of(body))), len(pieces(text)) * int(body.get("n") or 1)
    return {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}


def _tops(token: str, logprob: float, count: int) -> list[tuple[str, float]]:
    return ([(token, logprob), *((f"other{i}", logprob - 1 - i) for i in range(20))])[:count]


def _chat_logprobs(tokens: Sequence[str], count: int, start: int = 0) -> Body:
    rows = []
    for i, token in enumerate(tokens, start):
        logprob = -0.1 * (i + 1)
        tops = [{"token": t, "logprob": p, "bytes": None} for t, p in _tops(token, logprob, count)]
        rows.append({"token": token, "logprob": logprob, "bytes": None, "top_logprobs": tops})
    return {"content": rows}


def _text_logprobs(tokens: Sequence[str], count: int, start: int = 0) -> Body:
    scores = [-0.1 * (i + 1) for i in range(start, start + len(tokens))]
    tops = [dict(_tops(token, score, count)) for token, score in zip(tokens, scores, strict=True)]
    return {"tokens": list(tokens), "token_logprobs": scores, "top_logprobs": tops}


def _calls(answer: Answer) -> list[Body]:
    return [
        {"index": i, "id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (id_, name, arguments) in enumerate(answer.tool_calls)
    ]


def whole(answer: Answer, body: Body, chat: bool) -> Body:
    """Return the whole answer to a (chat) completions body."""
    text = _text(answer, body)
    choices: list[Body] = []
    for index in range(0 if answer.empty else int(body.get("n") or 1)):
        said = text if index == 0 else f"{text} ({index})"
        choice: Body = {"index": index, "finish_reason": answer.finish, "logprobs": None}
        if chat:
            choice["message"] = {"role": "assistant", "content": said or None}
            if answer.tool_calls:
                choice["message"]["tool_calls"] = _calls(answer)
            if body.get("logprobs"):
                choice["logprobs"] = _chat_logprobs(pieces(said), int(body.get("top_logprobs") or 0))
        else:
            choice["text"] = said
            if body.get("logprobs") is not None:
                choice["logprobs"] = _text_logprobs(pieces(said), int(body["logprobs"]))
        choices.append(choice)
    kind = "chat.completion" if chat else "text_completion"
    data: Body = {"id": "scripted", "object": kind, "created": 0, "model": body.get("model"), "choices": choices}
    if answer.usage:
        data["usage"] = _usage(body, text)
    return data


def events(answer: Answer, body: Body, chat: bool) -> list[Body]:
    """Return the same answer as stream events: a word each, the tool calls in fragments, the usage last."""
    text = _text(answer, body)
    found: list[Body] = []

    def add(index: int, delta: Body, finish: str | None = None, logprobs: Body | None = None) -> None:
        choice: Body = {"index": index, "finish_reason": finish, "logprobs": logprobs}
        choice |= {"delta": delta} if chat else {"text": delta.get("content", "")}
        kind = "chat.completion.chunk" if chat else "text_completion"
        found.append({"id": "scripted", "object": kind, "model": body.get("model"), "choices": [choice]})

    for index in range(0 if answer.empty else int(body.get("n") or 1)):
        if chat:
            add(index, {"role": "assistant", "content": ""})
        for i, piece in enumerate(pieces(text if index == 0 else f"{text} ({index})")):
            logprobs: Body | None = None
            if chat and body.get("logprobs"):
                logprobs = _chat_logprobs([piece], int(body.get("top_logprobs") or 0), i)
            elif not chat and body.get("logprobs") is not None:
                logprobs = _text_logprobs([piece], int(body["logprobs"]), i)
            add(index, {"content": piece}, logprobs=logprobs)
        for call in _calls(answer):
            arguments = call["function"]["arguments"]
            first = {**call, "function": {"name": call["function"]["name"], "arguments": ""}}
            add(index, {"tool_calls": [first]})
            for at in range(0, len(arguments), 5):
                part = {"index": call["index"], "function": {"arguments": arguments[at : at + 5]}}
                add(index, {"tool_calls": [part]})
        add(index, {}, finish=answer.finish)
    if answer.usage and (body.get("stream_options") or {}).get("include_usage"):
        found.append({"id": "scripted", "choices": [], "usage": _usage(body, text)})
    return found


def sse(answer: Answer, body: Body, chat: bool) -> list[bytes]:
    """Return the stream as it goes over the wire, an item an event."""
    end = answer.newline
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}{end}{end}" for event in events(answer, body, chat)]
    if answer.comments:
        lines = [f": keep-alive{end}{end}{line}" for line in lines]
    if answer.done:
        lines.append(f"data: [DONE]{end}{end}")
    return [line.encode() for line in lines]


def embeddings(body: Body, width: int = 8) -> Body:
    """Return one vector a text, made from its hash: equal texts have equal vectors of length 1."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else list(given or [])
    rows = []
    for index, text in enumerate(texts):
        raw = [byte - 127.5 for byte in hashlib.sha256(str(text).encode()).digest()[:width]]
        norm = sum(value * value for value in raw) ** 0.5
        rows.append({"object": "embedding", "index": index, "embedding": [value / norm for value in raw]})
    return {"object": "list", "model": body.get("model"), "data": rows, "usage": {"prompt_tokens": len(texts)}}
