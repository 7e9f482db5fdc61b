"""The gateway as an ASGI application: every model under its name, behind OpenAI's API."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

from pilotfish.errors import PilotfishError, did_you_mean
from pilotfish.model import Delta, Model, Price, Reply, Request, Trace, Usage
from pilotfish.models._http_json import dumps, loads
from pilotfish.serve._asgi import CLOSE, LeftError, Out, Receive, Scope, Send, Watch, header, read_body, respond
from pilotfish.serve._faults import Fault, fault_of
from pilotfish.serve._metrics import Metrics
from pilotfish.serve._patience import Patience
from pilotfish.serve._visit import Visit, tokens_guessed
from pilotfish.serve.keys import Keys
from pilotfish.serve.record import Served
from pilotfish.serve.settings import Settings

__all__ = ["Gateway", "create_app"]

_LOG = logging.getLogger("pilotfish.serve")
# What a browser sends to any site without asking it first: no page elsewhere is to reach a gateway on this machine.
_UNASKED = ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded")

Endpoint = Callable[["Gateway", Visit, dict[str, Any], Out], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Answers(Protocol):
    """A cache of replies."""

    async def find(self, model: str, request: Request, scope: str = "") -> Reply | None:
        """Return the reply that is held for a request of a model; those of one scope share them."""

    async def keep(self, model: str, request: Request, reply: Reply, scope: str = "") -> Any:
        """Hold a reply."""


class Log(Protocol):
    """Where records of requests go."""

    def put(self, served: Served) -> Any:
        """Take a record; never waits."""


class Traces(Protocol):
    """Where records go together with the trace that the client says they belong to."""

    def put(self, served: Served, traceparent: str | None = None) -> Any:
        """Take a record; never waits."""


class Gateway:
    """The ASGI application; `create_app` makes it.

    Attributes:
        models: the models by name.
        encoders: what gives embeddings, by name.
        settings: the limits.
        metrics: what `/metrics` tells.
        in_flight: requests that models are answering now.
        draining: set it to refuse new requests with 503, while those under way end.
        ready: what `/readyz` tells, as long as nothing drains.
        page: what answers every path that is not the gateway's own; None for 404.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        settings: Settings,
        *,
        encoders: Mapping[str, Any],
        keys: Keys,
        answers: Answers | None,
        shared_answers: bool,
        log: Log | None,
        traces: Traces | None,
        page: Application | None,
        on_start: Callable[[], Awaitable[None]] | None,
        on_end: Callable[[], Awaitable[None]] | None,
    ) -> None:
        from pilotfish.serve._completions import completions
        from pilotfish.serve._embeddings import embeddings
        from pilotfish.serve._talk import chat

        self.models = dict(models)
        self.encoders = dict(encoders)
        self.settings = settings
        self.keys = keys
        self.answers = answers
        self.shared_answers = shared_answers
        self.log = log
        self.traces = traces
        self.metrics = Metrics()
        self.in_flight = 0
        self.draining = False
        self.ready = True
        self.page = page
        self._rates: dict[str, tuple[float, int]] = {}  # dollars and tokens of each model's whole replies
        self._on_start, self._on_end = on_start, on_end
        self._began = int(time.time())
        self._posts: dict[str, tuple[Endpoint, str]] = {
            "/v1/chat/completions": (chat, "chatcmpl"),
            "/v1/completions": (completions, "cmpl"),
            "/v1/embeddings": (embeddings, "embd"),
        }

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
            post = self._posts.get(path)
            if post is not None and scope["method"] == "POST":
                await self._post(post, scope, receive, send)
            else:
                await self._get(path, scope, receive, send)

    def model(self, visit: Visit, data: Mapping[str, Any], among: Mapping[str, Any]) -> Any:
        """Return the model that a body names, once its key may ask it.

        Raises:
            Fault: 400, it names none; 404, there is none of this name.
            Refused: the key may not ask it.
        """
        name = data.get("model")
        if not isinstance(name, str) or not name:
            raise Fault(400, "model must name the model to ask; GET /v1/models lists them", param="model")
        assert visit.key is not None
        found = among.get(name)
        if found is None:
            known = [one for one in among if visit.key.may_use(one)]
            raise Fault(404, f"no model {name!r} here{did_you_mean(name, known)}", "model_not_found", param="model")
        visit.model = name
        visit.key.check(name)
        return found

    def admit(self, visit: Visit, request: Request, answers: int = 1) -> None:
        """Take the tokens that a request may use out of its key's allowance.

        Raises:
            Refused: there is not enough left.
        """
        visit.request = request
        assert visit.key is not None
        if visit.key.tokens is not None:
            prompt = sum(tokens_guessed(message.text) for message in request.messages)
            visit.admitted = prompt + answers * request.n * (request.max_tokens or 0)
        visit.key.admit(visit.admitted)

    async def reply(self, visit: Visit, model: Model, request: Request) -> Reply:
        """Ask the cache, then the model, and note how long it took.

        Raises:
            TimeoutError: the model needs longer than the gateway waits.
        """
        found = await self._found(visit, request)
        if found is not None:
            return found
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self.settings.timeout):
                reply = await model.reply(request)
        finally:
            visit.models += time.perf_counter() - start
        await self._keep(visit, request, reply)
        return reply

    async def deltas(self, visit: Visit, model: Model, request: Request) -> AsyncIterator[Delta]:
        """Ask the cache, then the model, piece by piece; note how long it took and what came.

        Raises:
            TimeoutError: the next piece takes longer than the gateway waits.
        """
        found = await self._found(visit, request)
        if found is not None:
            delta = Delta(found.text, found.tool_calls, found)
            visit.took(delta)
            yield delta
            return
        stream = model.stream(request)
        patience = Patience(self.settings.timeout)
        try:
            while True:
                start = time.perf_counter()
                try:
                    delta = await patience.wait(anext(stream))
                except StopAsyncIteration:
                    break
                finally:
                    visit.models += time.perf_counter() - start
                visit.took(delta)
                yield delta
        finally:
            patience.end()
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        if visit.reply is not None:
            await self._keep(visit, request, visit.reply)

    async def _found(self, visit: Visit, request: Request) -> Reply | None:
        if self.answers is None:
            return None
        found = await self.answers.find(visit.held or visit.model, request, self._scope(visit))
        visit.cached = found is not None
        return found

    async def _keep(self, visit: Visit, request: Request, reply: Reply) -> None:
        if self.answers is not None:
            await self.answers.keep(visit.held or visit.model, request, reply, self._scope(visit))

    def _scope(self, visit: Visit) -> str:
        return "" if self.shared_answers or visit.key is None else visit.key.name

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
        except Exception as error:
            if visit.text:
                visit.guess("broken off")
            fault = fault_of(error, self.settings.show_endpoints)
            visit.status, visit.error = fault.status, " ".join(str(error).split()) or type(error).__name__
            if not isinstance(error, Fault | PilotfishError | TimeoutError):
                _LOG.error("request %s for %s failed", visit.id, visit.model or "no model", exc_info=error)
            await out.fault(fault)
        finally:
            self.in_flight -= 1
            if watch is not None:
                watch.end()
            self._book(visit, scope)

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

    def _book(self, visit: Visit, scope: Scope) -> None:
        """Count a request that has ended: in the key's allowance, in the metrics and in the log."""
        if visit.reply is not None:
            self._price(visit, visit.reply)
        served = visit.served()
        if visit.key is not None and visit.request is not None and (visit.reply is not None or visit.admitted):
            usage = visit.reply.usage if visit.reply is not None else Usage()
            visit.key.spent(usage, served.cost, visit.admitted)
        self.metrics.count(visit.path, served)
        if self.log is not None and visit.request is not None:
            self.log.put(served)
        if self.traces is not None:
            self.traces.put(served, header(scope, b"traceparent"))

    def _price(self, visit: Visit, reply: Reply) -> None:
        """Learn what a token of a model costs, and put a price on a reply that was cut short, or budgets would leak."""
        usage, cost = reply.usage, reply.cost
        tokens = usage.tokens_in + usage.tokens_out
        dollars, counted = self._rates.get(visit.model, (0.0, 0))
        if not visit.guessed:
            if cost is not None and tokens and not visit.cached:
                self._rates[visit.model] = (dollars + cost, counted + tokens)
            return
        price = getattr(self.models.get(visit.model), "price", None)
        guess = price.cost(usage.tokens_in, usage.tokens_out) if isinstance(price, Price) else None
        if guess is None and counted:
            guess = tokens * dollars / counted
        (call,) = reply.trace.calls
        visit.reply = reply.with_(trace=Trace((dataclasses.replace(call, cost=guess),)))

    async def _get(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path in self._posts:
            fault = Fault(405, f"{path} takes POST, not {scope['method']}", "method_not_allowed")
            await _say(send, 405, fault.to_json(), [(b"allow", b"POST")])
        elif path == "/healthz":
            await _say(send, 200, {"status": "ok"})
        elif path == "/readyz":
            ready = self.ready and not self.draining
            state = "ready" if ready else "stopping" if self.draining else "loading"
            await _say(send, 200 if ready else 503, {"status": state, "in_flight": self.in_flight})
        elif path == "/metrics":
            kind = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
            await respond(send, 200, self.metrics.render(self.in_flight).encode(), [kind])
        elif path == "/v1/models" or path.startswith("/v1/models/"):
            await self._list(path, scope, send)
        elif self.page is not None and not path.startswith("/v1/"):
            await self.page(scope, receive, send)
        else:
            await _say(send, 404, Fault(404, f"nothing at {path}", "not_found").to_json())

    async def _list(self, path: str, scope: Scope, send: Send) -> None:
        """Tell the models that a key may ask, or one of them."""
        try:
            key = self.keys.who(header(scope, b"authorization"))
            rows = [
                {"id": name, "object": "model", "created": self._began, "owned_by": "pilotfish"}
                for name in (*self.models, *self.encoders)
                if key.may_use(name)
            ]
            name = path.removeprefix("/v1/models").removeprefix("/")
            if not name:
                await _say(send, 200, {"object": "list", "data": rows})
                return
            found = next((row for row in rows if row["id"] == name), None)
            if found is None:
                hint = did_you_mean(name, [str(row["id"]) for row in rows])
                raise Fault(404, f"no model {name!r} here{hint}", "model_not_found")
            await _say(send, 200, found)
        except (Fault, PilotfishError) as error:
            fault = fault_of(error)
            await _say(send, fault.status, fault.to_json(), fault.headers())

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


async def _say(send: Send, status: int, data: Any, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    more = [*(headers or []), *([CLOSE] if status == 503 else [])]
    await respond(send, status, dumps(data), [(b"content-type", b"application/json"), *more])
