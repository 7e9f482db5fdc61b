"""The ASGI side: read a body within its limits, send an answer or a stream, and notice a client that leaves.

Plain ASGI and no framework: the routing, request and response objects of one cost more here than all the rest of the
gateway's own work on a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pilotfish.models._http_json import dumps
from pilotfish.serve._faults import Fault
from pilotfish.serve._visit import Visit

__all__ = [
    "CLOSE",
    "Headers",
    "LeftError",
    "Out",
    "Receive",
    "Scope",
    "Send",
    "Watch",
    "header",
    "read_body",
    "respond",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would gather the events
]
CLOSE = (b"connection", b"close")


class LeftError(Exception):
    """The client went away before its request was whole."""


def header(scope: Scope, name: bytes) -> str | None:
    """Return a request's header, the first of several; the name is in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the request's body. How long it may take to come is for the server to say (see `_server.Door`).

    Raises:
        Fault: 413, it is longer than `limit` bytes.
        LeftError: the client went away.
    """
    told = header(scope, b"content-length")
    if told is not None and told.isdigit() and int(told) > limit:
        raise _too_long(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise LeftError
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_long(limit)
        parts.append(part)
        if not message.get("more_body", False):
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_long(limit: int) -> Fault:
    return Fault(413, f"the body is longer than the {limit} bytes that this gateway takes", "body_too_long")


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send an answer in one piece; `headers` without its length."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Out:
    """The answer to one request, whole or as events.

    Attributes:
        started: whether the head has gone out; from then on the status cannot change.
    """

    def __init__(self, send: Send, visit: Visit) -> None:
        self._send = send
        self._visit = visit
        self.started = False

    async def whole(self, data: Any, status: int = 200, headers: Headers | None = None) -> None:
        """Send the answer as JSON."""
        body = dumps(data)
        self._visit.done = self.started = True
        await respond(self._send, status, body, [_JSON, *self._visit.headers(), *(headers or [])])

    async def fault(self, fault: Fault) -> None:
        """Send an error: with its status, or as the last event of a stream that has begun.

        Such a stream ends without `[DONE]`, so that nobody takes it for whole.
        """
        visit = self._visit
        visit.done = True
        if self.started:
            await self._send({"type": "http.response.body", "body": b"data: %s\n\n" % dumps(fault.to_json())})
            return
        # Where the body may not have been read, the rest of it must not be taken for the next request.
        close = [CLOSE] if fault.status in (413, 503) else []
        await self.whole(fault.to_json(), fault.status, [*fault.headers(), *close])

    async def open(self) -> None:
        """Send the head of a stream of events."""
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": [*_EVENTS, *self._visit.headers()]})

    async def event(self, data: Any) -> None:
        """Send an event."""
        await self._send({"type": "http.response.body", "body": b"data: %s\n\n" % dumps(data), "more_body": True})

    async def close(self, *last: Any) -> None:
        """Send the last events and `[DONE]`."""
        self._visit.done = True
        body = b"".join(b"data: %s\n\n" % dumps(data) for data in last) + b"data: [DONE]\n\n"
        await self._send({"type": "http.response.body", "body": body})


class Watch:
    """Cancels the task that answers a request when the client leaves before the answer is whole.

    Attributes:
        left: whether it did.
    """

    def __init__(self, receive: Receive, visit: Visit) -> None:
        self.left = False
        self._visit = visit
        self._task = asyncio.current_task()
        self._looking = asyncio.get_running_loop().create_task(self._look(receive))

    def end(self) -> None:
        """Stop watching."""
        self._looking.cancel()

    def forgiven(self) -> bool:
        """Say whether the task was cancelled by this watch alone, and is to go on with its end."""
        return self.left and self._task is not None and self._task.uncancel() == 0

    async def _look(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self._visit.done and self._task is not None:
            self.left = True
            self._task.cancel()
