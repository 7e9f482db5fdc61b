"""The gateway as an ASGI application: every model under its name, behind OpenAI's API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pilotfish.errors import PilotfishError
from pilotfish.model import Model
from pilotfish.models._http_json import loads
from pilotfish.serve._asgi import LeftError, Out, Receive, Scope, Send, Watch, header, read_body
from pilotfish.serve._books import book
from pilotfish.serve._completions import completions
from pilotfish.serve._embeddings import embeddings
from pilotfish.serve._faults import Fault, alone, fault_of
from pilotfish.serve._hosts import turned_away
from pilotfish.serve._house import Application, Endpoint, House
from pilotfish.serve._parts import Answers, Log, Traces
from pilotfish.serve._plain import plain
from pilotfish.serve._talk import chat
from pilotfish.serve._visit import Visit
from pilotfish.serve.keys import Keys
from pilotfish.serve.settings import Settings

__all__ = ["Gateway", "create_app"]

_LOG = logging.getLogger("pilotfish.serve")
# What a browser sends to any site without asking it first: no page elsewhere is to reach a gateway on this machine.
_UNASKED = ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded")

_POSTS: dict[str, tuple[Endpoint, str]] = {
    "/v1/chat/completions": (chat, "chatcmpl"),
    "/v1/completions": (completions, "cmpl"),
    "/v1/embeddings": (embeddings, "embd"),
}


class Gateway(House):
    """The ASGI application; `create_app` makes it."""

    def __init__(
        self,
        models: Mapping[str, Model],
        settings: Settings,
        *,
        on_start: Callable[[], Awaitable[None]] | None,
        on_end: Callable[[], Awaitable[None]] | None,
        **parts: Any,
    ) -> None:
        super().__init__(models, settings, _POSTS, **parts)
        self._on_start, self._on_end = on_start, on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI event."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        elif kind == "http":
            path = scope["path"]
            post = self.posts.get(path)
            if self.names is not None and not self.keys and await turned_away(self.names, scope, send):
                return
            if post is not None and scope["method"] == "POST":
                await self._post(post, scope, receive, send)
            else:
                await plain(self, path, scope, receive, send)

    async def _post(self, post: tuple[Endpoint, str], scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that models work for, and keep the books, however it ends."""
        endpoint, prefix = post
        visit = Visit(scope["path"], prefix)
        out = Out(send, visit)
        watch: Watch | None = None
        self.in_flight += 1
        try:
            self._open_door(scope)
            visit.key = self.keys.who(header(scope, b"authorization"))
            raw = await read_body(scope, receive, self.settings.max_body)
            watch = Watch(receive, visit)
            await endpoint(self, visit, _object(raw), out)
        except asyncio.CancelledError:
            if watch is None or not watch.forgiven():
                visit.gone("the gateway stopped before the answer was whole")
                raise
            visit.gone()
        except LeftError:
            visit.gone()
        except Exception as raised:
            error = alone(raised)
            if visit.text:
                visit.guess("broken off")
            fault = fault_of(error, self.settings.show_endpoints)
            visit.status, visit.error = fault.status, " ".join(str(error).split()) or type(error).__name__
            if not isinstance(error, Fault | PilotfishError | TimeoutError):
                _LOG.error("request %s for %s failed", visit.id, visit.model or "no model", exc_info=raised)
            await out.fault(fault)
        finally:
            self.in_flight -= 1
            if watch is not None:
                watch.end()
            book(self, visit, scope)

    def _open_door(self, scope: Scope) -> None:
        """Let a request in.

        Raises:
            Fault: 503, the gateway is stopping or full; 415, the body is no JSON.
        """
        if self.draining:
            raise Fault(503, "the gateway is stopping: ask another one", "stopping", retry_after=1)
        if self.in_flight > self.settings.max_requests:
            raise Fault(503, f"{self.settings.max_requests} requests are under way", "overloaded", retry_after=1)
        kind = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
        if kind in _UNASKED:
            raise Fault(415, f"send the body as application/json, not {kind}", "unsupported_media_type")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        starting: asyncio.Task[None] | None = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                if self._on_start is not None:
                    # Health is told while weights load; readiness only after.
                    self.ready = False
                    starting = asyncio.create_task(self._start(self._on_start))
                await send({"type": "lifespan.startup.complete"})
            else:
                self.draining = True
                if starting is not None:
                    starting.cancel()
                if self._on_end is not None:
                    await self._on_end()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # told when a request needs what is missing; until then the others are served
            _LOG.error("not everything could be made ready: %s", error)
        self.ready = True


def create_app(
    models: Mapping[str, Model],
    settings: Settings | None = None,
    *,
    encoders: Mapping[str, Any] | None = None,
    keys: Keys | None = None,
    answers: Answers | None = None,
    shared_answers: bool = False,
    log: Log | None = None,
    traces: Traces | None = None,
    page: Application | None = None,
    on_start: Callable[[], Awaitable[None]] | None = None,
    on_end: Callable[[], Awaitable[None]] | None = None,
) -> Gateway:
    """Return the gateway, an ASGI application for uvicorn or any other server.

    Args:
        models: what is served, by name.
        settings: its limits.
        encoders: what serves `/v1/embeddings`, by name: anything with `encode(texts)`, such as an `Encoder`.
        keys: who may ask; everyone where there are none.
        answers: a cache of replies, such as `ResponseCache`.
        shared_answers: whether all keys share them; otherwise each has its own.
        log: where records go, such as a `DecisionLog`.
        traces: where they go as spans, such as `pilotfish.serve.otel.Spans`.
        page: an ASGI application for every path that is not the gateway's own.
        on_start: run when the server has started; `/readyz` answers 503 until it is done.
        on_end: run when the last request has ended: close the models, the log.
    """
    return Gateway(
        models,
        settings or Settings(),
        encoders=encoders or {},
        keys=keys or Keys(),
        answers=answers,
        shared_answers=shared_answers,
        log=log,
        traces=traces,
        page=page,
        on_start=on_start,
        on_end=on_end,
    )


def _object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        Fault: 400, it is none.
    """
    try:
        data = loads(raw)
    except (ValueError, RecursionError) as error:
        said = getattr(error, "msg", None) or type(error).__name__
        raise Fault(400, f"the body is no JSON: {said}", "invalid_json") from None
    if not isinstance(data, dict):
        raise Fault(400, "the body must be a JSON object", "invalid_json")
    return data
