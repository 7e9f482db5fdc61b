"""Under which names a gateway on this machine alone may be asked, so that no web page reaches it by another one.

A page from elsewhere may let its own name lead to 127.0.0.1 (DNS rebinding): the browser then takes the gateway for
that page's own server, and lets it read every answer. What gives it away is the Host header, which holds that name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence

from pilotfish.models._http_json import dumps
from pilotfish.serve._asgi import CLOSE, Scope, Send, header, respond
from pilotfish.serve._faults import Fault

__all__ = ["is_loopback", "own_names", "turned_away"]

_NAMES = ("localhost", "127.0.0.1", "::1")
_LONGEST = 100  # characters of a client's own word that an error repeats


def is_loopback(host: str) -> bool:
    """Say whether an address, as a socket tells it, is reached from this machine alone."""
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def own_names(listeners: Sequence[socket.socket], further: Iterable[str]) -> frozenset[str] | None:
    """Return the names of a gateway that listens at loopback addresses only; None for any other one."""
    addresses = [listener.getsockname() for listener in listeners]
    if not addresses or not all(isinstance(one, tuple) and is_loopback(one[0]) for one in addresses):
        return None
    return frozenset({*_NAMES, *(one[0] for one in addresses), *map(_name, further)})


async def turned_away(names: frozenset[str], scope: Scope, send: Send) -> bool:
    """Refuse a request that asks for none of these names with 403; return whether it was."""
    host = header(scope, b"host") or ""
    if _name(host) in names:
        return False
    what = f"not as {host[:_LONGEST]!r}" if host else "and the request names no host"
    further = "[[serve.keys]], or the name among `hosts` in [serve], would let it in"
    fault = Fault(403, f"a gateway without keys is asked as localhost, {what}: {further}", "host_not_allowed")
    # The body was not read, and must not be taken for the next request.
    await respond(send, fault.status, dumps(fault.to_json()), [(b"content-type", b"application/json"), CLOSE])
    return True


def _name(host: str) -> str:
    """Return a Host header's name or address, without its port."""
    host = host.strip().lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.removesuffix(".")
