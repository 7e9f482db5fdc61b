"""The passages that a model was shown, told to the models around it and within it.

What retrieves puts passages into a prompt, and what checks the answer stands around it or behind it: both know them by
the request's metadata, which is sent to nobody and is no part of a cache's key.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.model import Request

__all__ = ["listening", "looked_up", "passages_of", "shown", "to_look_up"]

_SHOWN, _LISTENING, _QUERY = "passages", "passages_heard", "query"


def listening(request: Request) -> tuple[Request, list[str]]:
    """Return a request for a model within, and a list that fills with the passages that are shown on the way."""
    heard: list[str] = []
    outer = request.metadata.get(_LISTENING)
    ears = [*(outer if isinstance(outer, tuple) else ()), heard]
    return request.with_(metadata={**request.metadata, _LISTENING: tuple(ears)}), heard


def shown(request: Request, passages: Sequence[str]) -> Request:
    """Return a request that tells models within of passages, after telling those that listen outside."""
    ears = request.metadata.get(_LISTENING)
    for heard in ears if isinstance(ears, tuple) else ():
        heard.extend(one for one in passages if one not in heard)
    return request.with_(metadata={**request.metadata, _SHOWN: (*passages_of(request), *passages)})


def passages_of(request: Request) -> tuple[str, ...]:
    """Return the passages that a request tells of."""
    found = request.metadata.get(_SHOWN)
    return tuple(str(one) for one in found) if isinstance(found, list | tuple) else ()


def to_look_up(request: Request, query: str) -> Request:
    """Return a request whose last turn is no question, with the one that passages are to be looked up for."""
    return request.with_(metadata={**request.metadata, _QUERY: query})


def looked_up(request: Request) -> str | None:
    """Return what `to_look_up` gave, where anybody did."""
    found = request.metadata.get(_QUERY)
    return found if isinstance(found, str) and found.strip() else None
