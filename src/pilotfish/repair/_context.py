"""Where a request's context stands, and what the request is without it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Message, Request

__all__ = ["NAME", "Where", "check_where", "placed", "with_context", "without_context"]

# A message of this name is context.
NAME = "context"
# "named", "system", or two markers.
Where = str | Sequence[str]


def check_where(where: Where, name: str) -> Where:
    """Return the setting where it is one of those that are known.

    Raises:
        ConfigError: it is not.
    """
    known = where in ("named", "system") if isinstance(where, str) else len(where) == 2 and all(where)
    if not known:
        raise ConfigError(
            f'{name}: context is "named", "system" or two markers such as ["<context>", "</context>"], not {where!r}'
        )
    return where if isinstance(where, str) else tuple(where)


def placed(request: Request, name: str) -> Request:
    """Return the request with its extra field `context` as a user turn of that name before the last user turn.

    Raises:
        ModelError: it is not a text, or no user speaks.
    """
    if NAME not in request.extra:
        return request
    text = request.extra[NAME]
    if not isinstance(text, str):
        raise ModelError(f"{name}: context must be a text, not {type(text).__name__}")
    at = max((i for i, message in enumerate(request.messages) if message.role == "user"), default=None)
    if at is None:
        raise ModelError(f"{name}: a context needs a user turn to stand before")
    turns = (*request.messages[:at], Message("user", text, NAME), *request.messages[at:])
    extra = {key: value for key, value in request.extra.items() if key != NAME}
    return dataclasses.replace(request, messages=turns, extra=extra)


def with_context(request: Request) -> Request:
    """Return the request with messages named "context" joined to the turn of the same role that follows.

    Chat templates know no names, and some refuse two turns of one role in a row.
    """
    turns: list[Message] = []
    for message in request.messages:
        before = turns[-1] if turns else None
        if before is not None and before.name == NAME and before.role == message.role:
            name = NAME if message.name == NAME else None
            turns[-1] = dataclasses.replace(message, content=f"{before.text}\n\n{message.text}", name=name)
        else:
            turns.append(message)
    unnamed = tuple(dataclasses.replace(turn, name=None) if turn.name == NAME else turn for turn in turns)
    return dataclasses.replace(request, messages=unnamed)


def without_context(request: Request, where: Where) -> Request:
    """Return the request without its context: named messages, and what `where` says."""
    turns = [message for message in request.messages if message.name != NAME]
    if where == "system":
        turns = [turn for turn in turns if turn.role not in ("system", "developer")]
    elif not isinstance(where, str):
        start, end = where
        between = re.compile(re.escape(start) + ".*?" + re.escape(end) + r"\s*", re.DOTALL)
        turns = [dataclasses.replace(turn, content=between.sub("", turn.text)) for turn in turns]
    return dataclasses.replace(request, messages=tuple(turns))
