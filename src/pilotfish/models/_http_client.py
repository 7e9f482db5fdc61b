"""A small HTTP/1.1 client: one connection, one request at a time, for the one kind of request we send.

General clients spend a millisecond of processor time on a request: merging headers, cookies, redirects, pools. A
gateway's own work is a tenth of that. This one writes a head that is ready and reads what comes; it raises httpx's
exceptions, so that whoever asks cannot tell the difference.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import Any, Protocol, Self, cast

import httpx

from pilotfish.models._http_parse import ParseError, ResponseParser

__all__ = ["Client", "DirectClient", "Response"]

_IDLE_SECONDS = 5.0  # a connection idle for longer may be about to be closed at the other end
_READ_AHEAD = 1 << 18


class Response(Protocol):
    """What both clients give: the head is there, the body comes."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Any:
        """A mapping by lower-case names."""

    def aiter_bytes(self) -> Any:
        """Return an asynchronous iterator over the body's pieces."""

    async def aclose(self) -> None:
        """End: the connection is kept where the body was read to its end, and dropped where not."""


class Client(Protocol):
    """Sends one request at a time."""

    async def post(self, send: Any, body: bytes) -> Response:
        """Send a body and return the response as soon as its head has come.

        Args:
            send: what every request to the endpoint has in common (see `Exchange`).
            body: JSON.

        Raises:
            httpx.HTTPError: there is no connection, or it broke off.
        """

    async def aclose(self) -> None:
        """Close the connection."""


class Connection(asyncio.Protocol):
    """A connection and the response that is coming over it.

    Attributes:
        lost: whether it is closed.
    """

    def __init__(self) -> None:
        self.lost = False
        self.parser: ResponseParser | None = None
        self._fault: str | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; those that nobody asked for end the connection."""
        parser = self.parser
        if parser is None:
            self.transport.abort()
            return
        try:
            parser.feed(data)
        except ParseError as error:
            self._fault = str(error)
            self.transport.abort()
        if not self._paused and len(parser.parts) > 1 and sum(map(len, parser.parts)) > _READ_AHEAD:
            # Whoever reads a stream slowly makes the endpoint wait, not our memory grow.
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.lost = True
        if self.parser is not None and self._fault is None:
            try:
                self.parser.eof()
            except ParseError as error:
                self._fault = str(error)
        self._wake()

    def check(self) -> None:
        """Raise what has gone wrong.

        Raises:
            httpx.RemoteProtocolError: the connection broke off, or what came is no HTTP.
        """
        if self._fault is not None:
            raise httpx.RemoteProtocolError(self._fault)

    async def more(self) -> None:
        """Wait until something has come or gone wrong."""
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def closed(self) -> None:
        """Wait until the socket of an aborted connection is closed: when the loop has come round."""
        for _ in range(3):
            if self.lost:
                break
            await asyncio.sleep(0)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class DirectResponse:
    """A response whose head has come; iterate over it for the body's pieces."""

    def __init__(self, connection: Connection, parser: ResponseParser, release: Callable[[bool], None]) -> None:
        self.status_code = parser.status
        self.headers = parser.headers
        self._connection = connection
        self._parser = parser
        self._release: Callable[[bool], None] | None = release

    def aiter_bytes(self) -> Self:
        """Return this response, which is the iterator."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        parser = self._parser
        while not parser.parts:
            self._connection.check()
            if parser.done:
                raise StopAsyncIteration
            await self._connection.more()
        if len(parser.parts) == 1:
            return parser.parts.pop()
        whole = b"".join(parser.parts)
        parser.parts.clear()
        return whole

    @property
    def whole(self) -> bytes | None:
        """The body, where it came together with the head, as most do; None where it has to be waited for."""
        parser = self._parser
        return b"".join(parser.parts) if parser.done else None

    async def aclose(self) -> None:
        """Keep the connection for the next request, or hang up where the body was not read to its end."""
        release, self._release = self._release, None
        if release is not None:
            keep = self._parser.done and self._parser.reusable
            release(keep)
            if not keep:
                await self._connection.closed()


class DirectClient:
    """A client with at most one connection, opened when it is needed.

    Args:
        host: the endpoint's name or address.
        port: its port.
        tls: the TLS context; None for plain HTTP.
        connect_timeout: seconds to connect, TLS and all.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, connect_timeout: float) -> None:
        self._host, self._port, self._tls, self._connect_timeout = host, port, tls, connect_timeout
        self._connection: Connection | None = None
        self._idle_since = 0.0

    async def post(self, send: Any, body: bytes) -> DirectResponse:
        """Send a body and return the response as soon as its head has come.

        Raises:
            httpx.HTTPError: there is no connection, or it broke off.
        """
        connection = await self._open()
        parser = connection.parser = ResponseParser()
        try:
            # In one expression: the head holds the key, which is to stand in no local variable.
            connection.transport.write(b"".join((*send.head(), b"Content-Length: %d\r\n\r\n" % len(body), body)))
            while not parser.headed:
                connection.check()
                await connection.more()
            connection.check()
        except BaseException:
            self._drop()
            raise
        return DirectResponse(connection, parser, self._done)

    async def aclose(self) -> None:
        """Close the connection."""
        connection = self._connection
        self._drop()
        if connection is not None:
            await connection.closed()

    def _done(self, keep: bool) -> None:
        connection = self._connection
        if connection is None:
            return
        if not keep or connection.lost:
            self._drop()
            return
        connection.parser = None
        self._idle_since = asyncio.get_running_loop().time()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.lost:
            # Not `close`: over TLS that waits for the other end's farewell, and nothing is left to be sent.
            connection.transport.abort()

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        if self._connection is not None:
            if not self._connection.lost and loop.time() - self._idle_since < _IDLE_SECONDS:
                return self._connection
            self._drop()
        settings: dict[str, Any] = {}
        if self._tls is not None:
            settings = {"ssl": self._tls, "server_hostname": self._host}
        if isinstance(loop, asyncio.BaseEventLoop):  # uvloop does not know it
            settings["happy_eyeballs_delay"] = 0.25
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(Connection, self._host, self._port, **settings)
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except OSError as error:
            raise httpx.ConnectError(_reason(error)) from None
        self._connection = connection
        return connection


def _reason(error: OSError) -> str:
    """Return why there is no connection, without the address, which is nobody else's business."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}" if not hasattr(error, "verify_message") else str(error.verify_message)
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or "no address of it answers"
