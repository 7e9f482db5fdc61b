"""What an answer is judged by, read from the request: the question, the system turns, and the passages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pilotfish.errors import ConfigError
from pilotfish.measure.evidence import passages_of
from pilotfish.model import Request
from pilotfish.repair._context import NAME, Where
from pilotfish.repair.spans import Context

__all__ = ["check_evidence", "context_of"]

# "told" is what retrieves and what the caller sends as context; the others look into the turns as well.
_WORDS = ("told", "prompt", "system")


def check_evidence(where: Where, name: str) -> Where:
    """Return the setting where it is one of those that are known.

    Raises:
        ConfigError: it is not.
    """
    known = where in _WORDS if isinstance(where, str) else len(where) == 2 and all(where)
    if not known:
        raise ConfigError(
            f'{name}: evidence is "told", "prompt", "system" or two markers such as ["<context>", "</context>"], '
            f"not {where!r}"
        )
    return where if isinstance(where, str) else tuple(where)


def context_of(request: Request, heard: Sequence[str] = (), where: Where = "told") -> Context:
    """Return what a request's answer is judged by.

    Args:
        request: the request.
        heard: passages that a model within was shown.
        where: else they stand: "told" by the request (messages and an extra field named `context`, passages of a
            retrieving model around this one), and then also in the last user turn ("prompt"), the "system" turns, or
            between two markers of any turn.
    """
    passages = [*passages_of(request), *heard]
    passages += [message.text for message in request.messages if message.name == NAME]
    extra = request.extra.get(NAME)
    if isinstance(extra, str):
        passages.append(extra)
    system = "\n".join(turn.text for turn in request.messages if turn.role in ("system", "developer"))
    if where == "prompt":
        passages.append(request.prompt)
    elif where == "system":
        passages.append(system)
    elif not isinstance(where, str):
        start, end = where
        between = re.compile(re.escape(start) + "(.*?)" + re.escape(end), re.DOTALL)
        passages += [found[1] for turn in request.messages for found in between.finditer(turn.text)]
    told = tuple(dict.fromkeys(one.strip() for one in passages if one.strip()))
    return Context(request.prompt, told, system, request=request)
