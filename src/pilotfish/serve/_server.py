"""The gateway in uvicorn: limits on headers and on slow senders, and a stop that finishes what is under way."""

from __future__ import annotations

import asyncio
import socket
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pilotfish.errors import ConfigError
from pilotfish.serve._hosts import own_names
from pilotfish.serve.settings import Settings

if TYPE_CHECKING:
    from pilotfish.serve.app import Gateway

__all__ = ["Server", "bind"]

_CORK = 64 << 10  # bytes; more is written at once
_REFUSAL = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"


class Corked:
    """A transport that gathers what is written in one turn of the loop into one write.

    An answer's head and body are two writes of uvicorn's, and each event of a stream is one. A system call costs more
    than all the rest of an event's way, and under load several events come in at once.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Hold data until the loop comes round."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > _CORK:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            held, self._held, self._size = self._held, [], 0
            if not self._transport.is_closing():
                self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def close(self) -> None:
        """Write what is held, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Door(HttpToolsProtocol):
    """One connection. uvicorn bounds neither how long a request's head may be nor how long a request may take to come.

    Attributes:
        since: when the request that is awaited began to be waited for; None while none is.
        stalled: since when the client has not read what was sent to it; None while it reads.
    """

    max_header = 64 << 10

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(Corked(transport, self.loop))  # type: ignore[arg-type]
        self.since: float | None = time.monotonic()
        self.stalled: float | None = None
        self._head: int | None = 0

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a request."""
        super().on_message_begin()
        self.since = time.monotonic()
        self._head = 0

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse a head that does not end."""
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > self.max_header:
                self._too_large()

    def on_headers_complete(self) -> None:
        """Let a request in whose head is short enough."""
        self._head = None
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self.max_header:
            self._too_large()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, unless the request was refused."""
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request, unless it was refused."""
        self.since = None
        if self.cycle is not None:
            super().on_message_complete()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self.stalled = time.monotonic()

    def resume_writing(self) -> None:
        """Note that it reads again."""
        super().resume_writing()
        self.stalled = None

    def overdue(self, now: float, seconds: float) -> bool:
        """Say whether a request has been awaited for longer than `seconds`."""
        return self.since is not None and now - self.since > seconds

    def refuse(self, status: str, said: str) -> None:
        """Answer without the application, where it has not begun to, and hang up."""
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if begun:
            self.transport.close()
        elif not self.transport.is_closing():
            body = b'{"error":{"message":"%s","type":"invalid_request_error","param":null,"code":null}}' % said.encode()
            self.transport.write(_REFUSAL % (status.encode(), len(body), body))
            self.transport.close()
        self.since = self._head = None

    def _too_large(self) -> None:
        self.refuse("431 Request Header Fields Too Large", f"the headers are longer than {self.max_header} bytes")


class Server(uvicorn.Server):
    """uvicorn's server, which on a signal first lets the gateway drain, and ends in peace.

    Args:
        gateway: what is served.
        settings: its limits.
    """

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        limited = type("Door", (Door,), {"max_header": settings.max_header})
        super().__init__(
            uvicorn.Config(
                gateway,
                http=limited,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]
                timeout_graceful_shutdown=settings.grace,  # type: ignore[arg-type]
            )
        )
        self._gateway = gateway
        self._settings = settings
        self._close_at = float("inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, by now knowing who can reach this."""
        self._gateway.names = own_names(sockets or [], self._settings.hosts)
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; the second signal stops at once."""
        if self._gateway.draining:
            self.should_exit = self.force_exit = True
        self._gateway.draining = True
        self._close_at = time.monotonic() + self._settings.drain

    async def on_tick(self, counter: int) -> bool:
        """Look around, ten times a second; once a second for clients that ask or read too slowly."""
        if counter % 10 == 0:
            now, seconds = time.monotonic(), self._settings.receive_timeout
            for door in list(self.server_state.connections):
                if not isinstance(door, Door):
                    continue
                if door.overdue(now, seconds):
                    door.refuse("408 Request Timeout", f"no whole request within {seconds:g} s")
                elif door.stalled is not None and now - door.stalled > seconds:
                    door.transport.abort()  # then its stream is cancelled, as of any client that leaves
        return await super().on_tick(counter) or time.monotonic() >= self._close_at


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises:
        ConfigError: the address is none of this machine's, or taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With its protocol: asyncio turns Nagle's algorithm off only where it is told that this is TCP, and with it on
        # one stream in four stood still for 40 ms.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}:{port}: {error.strerror or error}") from None
    listener.setblocking(False)
    return listener
