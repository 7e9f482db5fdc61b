"""The page at `/`: live requests, what was saved, what another threshold would have done, drift, and a playground.

Files come from `static/` as they are: no build step, nothing from elsewhere, and a Content-Security-Policy under which
nothing but they can run. Whoever may see the page's figures sees everyone's traffic: where the gateway has keys, that
takes one with `admin = true`.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pilotfish.errors import PilotfishError
from pilotfish.model import Model
from pilotfish.serve._shown import Shown
from pilotfish.serve.keys import Key, Keys, Refused
from pilotfish.serve.log import DecisionLog

__all__ = ["routes"]

_STATIC = Path(__file__).parent / "static"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_LONGEST = 30 * 86400.0  # seconds that figures may look back
_OPEN = 600.0  # seconds after which a stream of events ends; the page opens it again
_QUIET = 15.0  # seconds after which a stream with no news shows that it is alive
_STREAMS = 64  # streams of events at once; each asks the database every second

Handler = Callable[[Request], Awaitable[Response]]


def routes(
    log: DecisionLog | None,
    models: Mapping[str, Model],
    keys: Keys | None = None,
    stopping: Callable[[], bool] = lambda: False,
    every: float = 1.0,
) -> list[Route]:
    """Return the routes of the page.

    Args:
        log: where traffic is read from; None leaves the playground only.
        models: what the gateway serves, by name.
        keys: who may ask; None or empty for everyone.
        stopping: tells that the gateway is shutting down: streams of events end then.
        every: seconds between two looks for new requests.
    """
    keys = keys or Keys()
    shown = None if log is None else Shown(log, models)
    streams: set[object] = set()

    def who(request: Request) -> Key:
        return keys.who(request.headers.get("authorization"))

    async def about(request: Request) -> Response:
        """Tell what this key may do, so that the page can say it."""
        found: dict[str, Any] = {"keys": len(keys) > 0, "log": shown is not None}
        try:
            key = who(request)
        except Refused:
            return _json({**found, "known": False, "admin": False, "models": []})
        mine = [name for name in models if key.may_use(name)]
        return _json({**found, "known": True, "admin": key.admin, "models": mine, "name": key.name})

    def figures(make: Callable[[Shown, Mapping[str, str]], Any]) -> Handler:
        """Return a handler that answers an admin with figures, made in a thread."""

        async def handler(request: Request) -> Response:
            refusal = _refusal(who, request, shown)
            if refusal is not None or shown is None:
                return refusal or _error(404, "no_log", "no log")
            try:
                return _json(await asyncio.to_thread(make, shown, request.query_params))
            except ValueError:
                return _error(400, "invalid_request", "a number in the query is no number")
            except PilotfishError as error:
                return _error(503, "log_unavailable", str(error))

        return handler

    async def events(request: Request) -> Response:
        refusal = _refusal(who, request, shown)
        if refusal is not None or shown is None:
            return refusal or _error(404, "no_log", "no log")
        try:
            after = _after(request.query_params)
        except ValueError:
            after = None
        if len(streams) >= _STREAMS:
            return _error(503, "too_many_streams", f"{_STREAMS} pages are followed already; this one may ask instead")
        return StreamingResponse(
            _counted(_events(shown, after, stopping, every), streams),
            media_type="text/event-stream",
            headers={**_HEADERS, "cache-control": "no-store"},
        )

    def one(shown: Shown, query: Mapping[str, str]) -> Any:
        return {"request": shown.request(query.get("id", ""))}

    return [
        Route("/", _file("index.html")),
        Route("/live/app.js", _file("app.js")),
        Route("/live/charts.js", _file("charts.js")),
        Route("/live/playground.js", _file("playground.js")),
        Route("/live/style.css", _file("style.css")),
        Route("/live/icon.svg", _file("icon.svg")),
        Route("/live/about", about),
        Route("/live/events", events),
        Route("/live/summary", figures(lambda shown, query: shown.summary(_seconds(query)))),
        Route("/live/rows", figures(lambda shown, query: {"rows": shown.latest(_after(query), _limit(query))})),
        Route("/live/request", figures(one)),
        Route(
            "/live/what-if", figures(lambda shown, query: shown.what_if(_seconds(query), query.get("model") or None))
        ),
        Route("/live/drift", figures(lambda shown, query: shown.drift(_seconds(query), query.get("model") or None))),
    ]


async def _events(shown: Shown, after: int | None, stopping: Callable[[], bool], every: float) -> AsyncIterator[bytes]:
    """Yield new rows as server-sent events. Rows of other replicas show as they reach the database."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _OPEN
    said = loop.time()
    yield b"retry: 2000\n\n"
    while loop.time() < end and not stopping():
        try:
            rows = await asyncio.to_thread(shown.latest, after, 100)
        except PilotfishError:
            return  # the page tries again, and asks for figures meanwhile, which say what is wrong
        if rows:
            after = rows[-1]["seq"]
            yield b"id: %d\nevent: rows\ndata: %s\n\n" % (after, _dumps(rows))
            said = loop.time()
        elif after is None:
            after = 0
        elif loop.time() - said > _QUIET:
            yield b": still here\n\n"
            said = loop.time()
        await asyncio.sleep(every)


async def _counted(stream: AsyncIterator[bytes], streams: set[object]) -> AsyncIterator[bytes]:
    """Yield what a stream yields; it is among `streams` as long as someone reads it."""
    streams.add(stream)
    try:
        async for event in stream:
            yield event
    finally:
        streams.discard(stream)


def _refusal(who: Callable[[Request], Key], request: Request, shown: Shown | None) -> Response | None:
    """Return why a request for figures is refused; None where it is not."""
    try:
        key = who(request)
    except Refused as error:
        return _error(error.status, error.code, str(error))
    if not key.admin:
        return _error(403, "not_admin", "this key may not see the traffic of others: its table lacks `admin = true`")
    if shown is None:
        return _error(404, "no_log", "this gateway keeps no log: give its file a [serve.log] table")
    return None


def _file(name: str) -> Handler:
    path = _STATIC / name
    kind = _KINDS[path.suffix]

    async def handler(_: Request) -> Response:
        # Read anew each time: small, in the system's cache, and an upgrade shows at once.
        return Response(path.read_bytes(), media_type=kind, headers={**_HEADERS, "cache-control": "no-cache"})

    return handler


def _seconds(query: Mapping[str, str]) -> float:
    seconds = float(query.get("seconds", "3600"))
    if not math.isfinite(seconds):
        raise ValueError(seconds)
    return min(_LONGEST, max(60.0, seconds))


def _after(query: Mapping[str, str]) -> int | None:
    # No database counts further than this.
    return min(2**62, max(0, int(query["after"]))) if query.get("after") else None


def _limit(query: Mapping[str, str]) -> int:
    return min(200, max(1, int(query.get("limit", "50"))))


def _json(data: Any) -> Response:
    return Response(_dumps(data), media_type="application/json", headers={**_HEADERS, "cache-control": "no-store"})


def _dumps(data: Any) -> bytes:
    return json.dumps(_finite(data), ensure_ascii=False, separators=(",", ":")).encode()


def _finite(data: Any) -> Any:
    """Return data without infinities and NaN, which JSON does not know."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(item) for item in data]
    return data


def _error(status: int, code: str, message: str) -> Response:
    body = {"error": {"message": message, "code": code, "type": "invalid_request_error", "param": None}}
    return JSONResponse(body, status, headers={**_HEADERS, "cache-control": "no-store"})
