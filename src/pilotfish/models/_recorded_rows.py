"""A reply as a row of a recording, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import DataError
from pilotfish.model import Call, Message, Price, Reply, Request, TokenLogprob, ToolCall, Trace

__all__ = ["Columns", "messages_key", "reply_of", "row_of"]


@dataclass(frozen=True)
class Columns:
    """The names of a recording's columns. Only `reply`, and `prompt` or `messages`, must be there.

    Attributes:
        prompt: the last user turn.
        messages: the whole conversation, as chat-completions messages; where a row has it, `prompt` is not used.
        reply: the text of the reply.
        logprobs: a list, an item a token: a number, [token, number], or {"token", "logprob", "top_logprobs"}.
        tokens_in: tokens of the request.
        tokens_out: tokens of the reply.
        seconds: seconds that the reply took.
        cost: US dollars that it cost.
    """

    prompt: str = "prompt"
    messages: str = "messages"
    reply: str = "reply"
    logprobs: str = "logprobs"
    tokens_in: str = "tokens_in"
    tokens_out: str = "tokens_out"
    seconds: str = "seconds"
    cost: str = "cost"


def messages_key(messages: tuple[Message, ...]) -> str:
    """Return canonical JSON of a conversation."""
    return json.dumps([message.to_json() for message in messages], sort_keys=True)


def row_of(request: Request, reply: Reply) -> dict[str, Any]:
    """Return an exchange as a row that `reply_of` reads back; its tokens, seconds and cost are the whole trace's."""
    usage = reply.usage
    return {
        "prompt": request.prompt,
        "messages": [message.to_json() for message in request.messages],
        **_answer(reply),
        "choices": [_answer(choice) for choice in reply.choices],
        "tokens_in": usage.tokens_in,
        "tokens_out": usage.tokens_out,
        "seconds": reply.trace.seconds,
        "cost": reply.cost,
        "model": ", ".join(dict.fromkeys(call.model for call in reply.trace.calls)),
    }


def _answer(reply: Reply) -> dict[str, Any]:
    logprobs = None
    if reply.logprobs is not None:
        logprobs = [
            {
                "token": row.token,
                "logprob": row.logprob,
                "top_logprobs": [{"token": token, "logprob": score} for token, score in row.top],
            }
            for row in reply.logprobs
        ]
    calls = [call.to_json() for call in reply.tool_calls]
    return {"reply": reply.text, "finish_reason": reply.finish_reason, "tool_calls": calls, "logprobs": logprobs}


def reply_of(row: Mapping[str, Any], columns: Columns, where: str, name: str, price: Price | None) -> Reply:
    """Return the reply that a row records, with one call in its trace.

    The cost is the row's own, else the price of its tokens, else unknown. Values may be JSON text, as in CSV files.

    Raises:
        DataError: a value has the wrong form; the text names `where` and the column.
    """
    answer = _reply(row, columns, where)
    others = tuple(_reply(choice, Columns(), where) for choice in _parsed(row, "choices", where) or ())
    counts = [_number(row, column, where) for column in (columns.tokens_in, columns.tokens_out)]
    tokens_in, tokens_out = (int(count or 0) for count in counts)
    cost = _number(row, columns.cost, where)
    if cost is None and price is not None and None not in counts:
        cost = price.cost(tokens_in, tokens_out)
    seconds = _number(row, columns.seconds, where) or 0.0
    call = Call(name, "model", tokens_in, tokens_out, seconds, cost, why="recorded")
    return answer.with_(choices=others, trace=Trace((call,)))


def _reply(row: Mapping[str, Any], columns: Columns, where: str) -> Reply:
    text = row.get(columns.reply)
    if not isinstance(text, str):
        raise DataError(f"{where}: column {columns.reply!r} must be text, not {type(text).__name__}")
    logprobs = _parsed(row, columns.logprobs, where)
    try:
        tokens = None if logprobs is None else tuple(map(_token, logprobs))
    except (TypeError, ValueError, KeyError, IndexError):
        raise DataError(f"{where}: column {columns.logprobs!r} must list a number or [token, number] a token") from None
    try:
        calls = tuple(map(ToolCall.from_json, _parsed(row, "tool_calls", where) or ()))
    except (AttributeError, TypeError):
        raise DataError(f"{where}: column 'tool_calls' must list chat-completions tool calls") from None
    return Reply(text, calls, str(row.get("finish_reason") or "stop"), tokens)


def _token(item: Any) -> TokenLogprob:
    if isinstance(item, Mapping):
        top = tuple((str(rival["token"]), float(rival["logprob"])) for rival in item.get("top_logprobs") or ())
        return TokenLogprob(str(item["token"]), float(item["logprob"]), top)
    if isinstance(item, list | tuple):
        return TokenLogprob(str(item[0]), float(item[1]))
    return TokenLogprob("", float(item))


def _parsed(row: Mapping[str, Any], column: str, where: str) -> Any:
    value = row.get(column)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except ValueError:
        raise DataError(f"{where}: column {column!r} is no JSON: {value[:40]!r}") from None


def _number(row: Mapping[str, Any], column: str, where: str) -> float | None:
    value = row.get(column)
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{where}: column {column!r} must be a number, not {str(value)[:40]!r}") from None


def conversation_of(row: Mapping[str, Any], columns: Columns, where: str) -> tuple[Message, ...] | None:
    """Return the row's messages; None where it has none.

    Raises:
        DataError: they are no chat-completions messages.
    """
    found = _parsed(row, columns.messages, where)
    if not found:
        return None
    if not isinstance(found, list):
        raise DataError(f"{where}: column {columns.messages!r} must be a list of messages")
    return Request.of(found).messages
