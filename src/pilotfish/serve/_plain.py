"""What the gateway answers by itself: its models, its health, its metrics, its page."""

from __future__ import annotations

from typing import Any

from pilotfish.errors import PilotfishError
from pilotfish.models._http_json import dumps
from pilotfish.serve._asgi import CLOSE, Receive, Scope, Send, header, respond
from pilotfish.serve._faults import Fault, fault_of, near
from pilotfish.serve._house import House

__all__ = ["plain"]


async def plain(gateway: House, path: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that no model works for."""
    if path in gateway.posts:
        fault = Fault(405, f"{path} takes POST, not {scope['method']}", "method_not_allowed")
        await _say(send, 405, fault.to_json(), [(b"allow", b"POST")])
    elif path == "/healthz":
        await _say(send, 200, {"status": "ok"})
    elif path == "/readyz":
        ready = gateway.ready and not gateway.draining
        state = "ready" if ready else "stopping" if gateway.draining else "loading"
        await _say(send, 200 if ready else 503, {"status": state, "in_flight": gateway.in_flight})
    elif path == "/metrics":
        kind = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
        await respond(send, 200, gateway.metrics.render(gateway.in_flight).encode(), [kind])
    elif path == "/v1/models" or path.startswith("/v1/models/"):
        await _list(gateway, path, scope, send)
    elif gateway.page is not None and not path.startswith("/v1/"):
        await gateway.page(scope, receive, send)
    else:
        await _say(send, 404, Fault(404, f"nothing at {path}", "not_found").to_json())


async def _list(gateway: House, path: str, scope: Scope, send: Send) -> None:
    """Tell the models that a key may ask, or one of them."""
    try:
        key = gateway.keys.who(header(scope, b"authorization"))
        rows = [
            {"id": name, "object": "model", "created": gateway.began, "owned_by": "pilotfish"}
            for name in (*gateway.models, *gateway.encoders)
            if key.may_use(name)
        ]
        name = path.removeprefix("/v1/models").removeprefix("/")
        if not name:
            await _say(send, 200, {"object": "list", "data": rows})
            return
        found = next((row for row in rows if row["id"] == name), None)
        if found is None:
            names = [str(row["id"]) for row in rows]
            raise Fault(404, f"no model {near(name, names)}", "model_not_found")
        await _say(send, 200, found)
    except (Fault, PilotfishError) as error:
        fault = fault_of(error)
        await _say(send, fault.status, fault.to_json(), fault.headers())


async def _say(send: Send, status: int, data: Any, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    more = [*(headers or []), *([CLOSE] if status == 503 else [])]
    await respond(send, status, dumps(data), [(b"content-type", b"application/json"), *more])
