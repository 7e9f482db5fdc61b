"""The HTTP side of a remote model: clients for each event loop, the key, time limits and retries."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import ssl
import threading
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from pilotfish.errors import ConfigError
from pilotfish.models._http_client import Client, DirectClient
from pilotfish.models._http_errors import AttemptError
from pilotfish.models._http_proxied import ProxiedClient, proxy_named

__all__ = ["Clock", "KeyFrom", "Lane", "Lanes", "Opener", "retrying"]

T = TypeVar("T")

sleep = asyncio.sleep  # a name of its own, so that tests can watch the waits


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return the one TLS context of the process: reading the certificates takes 20 ms, so not for every client."""
    return httpx.create_ssl_context()


class KeyFrom(httpx.Auth):
    """Puts the key from an environment variable into a request's header, at the moment of sending.

    It holds only the variable's name, so the key is in no attribute, repr or local variable of ours.
    """

    def __init__(self, variable: str | None, header: str = "Authorization") -> None:
        self.variable = variable
        self.header = header

    def read(self) -> str:
        """Return the key; empty where the variable is not set."""
        return os.environ.get(self.variable, "").strip() if self.variable else ""

    def check(self) -> None:
        """Make sure that a header can carry the key; the HTTP library would quote the whole header in its error.

        Raises:
            ConfigError: it cannot. The key is in no local variable here, since tracebacks may show those.
        """
        if not (self.read().isascii() and self.read().isprintable()):
            raise ConfigError(f"the key in ${self.variable} holds characters that no HTTP header can carry")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header; `Bearer` only in Authorization, the bare key in any other."""
        self.check()
        bare = self.header.lower() != "authorization"
        if self.read():
            request.headers[self.header] = self.read() if bare else f"Bearer {self.read()}"
        yield request

    def line(self) -> bytes:
        """Return the header as a line; nothing where there is no key.

        Raises:
            ConfigError: no header can carry the key.
        """
        self.check()
        if not self.read():
            return b""
        bare = self.header.lower() != "authorization"
        return f"{self.header}: {'' if bare else 'Bearer '}{self.read()}\r\n".encode("ascii")

    def redact(self, text: str) -> str:
        """Return the text with the key, should an endpoint have echoed it, replaced by `[key]`."""
        return text.replace(self.read(), "[key]") if self.read() else text

    def redact_bytes(self, raw: bytes) -> bytes:
        """Return a body in the same way."""
        return raw.replace(self.read().encode(), b"[key]") if self.read() else raw

    @property
    def spoken(self) -> str:
        """How an error speaks of the key that was sent, or of the one that was not."""
        if self.variable is None:
            return "the request, which carried no key: name its variable with key_env"
        return f"the key in ${self.variable}" if self.read() else f"a request without a key: set ${self.variable}"


@dataclass
class Lane:
    """What one event loop has of a remote model: its slots, their clients, and the requests now under way.

    Each slot has a client of its own, with one connection.
    """

    slots: asyncio.Semaphore
    new_client: Callable[[], Client]
    closer: AsyncGenerator[None, None]
    clients: list[Client]
    idle: list[Client] = field(default_factory=list)
    pending: dict[bytes, asyncio.Future[Any]] = field(default_factory=dict)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Wait for a slot and lend its client, the one used last first, since its connection is still warm."""
        async with self.slots:
            if not self.idle:
                self.idle.append(self.new_client())
                self.clients.append(self.idle[-1])
            client = self.idle.pop()
            try:
                yield client
            finally:
                self.idle.append(client)


# Every lane's closer, with a weak reference to the model's `Lanes`. Held here and not by the model alone: a model that
# is dropped in the last moments of its loop would leave the closing to a task that the loop no longer waits for.
_closers: dict[asyncio.AbstractEventLoop, list[tuple[weakref.ref[Lanes], AsyncGenerator[None, None]]]] = {}
_lock = threading.Lock()


async def _close_at_the_end(clients: list[Client]) -> AsyncGenerator[None, None]:
    """Close the clients when the event loop shuts down its async generators, as asyncio.run does at its end."""
    try:
        yield
    finally:
        for client in clients:
            await client.aclose()


@dataclass(frozen=True)
class Opener:
    """Makes the clients for one endpoint; plain data, so that a pickled copy can make its own.

    Attributes:
        scheme: "http" or "https".
        host, port: of the endpoint.
        timeout, connect_timeout: seconds.
        proxies: whether a proxy that the environment names is for this endpoint too.
    """

    scheme: str
    host: str
    port: int
    timeout: float
    connect_timeout: float
    proxies: bool

    def __call__(self) -> Client:
        """Return a client, which has no connection yet."""
        if self.proxies and proxy_named(self.scheme):
            return ProxiedClient(_tls(), self.timeout, self.connect_timeout)
        return DirectClient(self.host, self.port, _tls() if self.scheme == "https" else None, self.connect_timeout)


class Lanes:
    """The lanes of a model, one for each running event loop, made on first use and closed with their loop.

    The lanes of a model that nobody holds any more close when another model opens one, or with their loop. A pickled
    copy starts without lanes.
    """

    def __init__(self, concurrency: int, opener: Opener) -> None:
        self._settings = (concurrency, opener)
        self._lanes: dict[asyncio.AbstractEventLoop, Lane] = {}

    def __reduce__(self) -> tuple[type[Lanes], tuple[int, Opener]]:
        return Lanes, self._settings

    async def here(self) -> Lane:
        """Return the lane of the running loop."""
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(loop)
        if lane is not None:
            return lane
        concurrency, opener = self._settings
        clients: list[Client] = []
        lane = Lane(asyncio.Semaphore(concurrency), opener, _close_at_the_end(clients), clients)
        with _lock:
            self._lanes = {old: kept for old, kept in self._lanes.items() if not old.is_closed()} | {loop: lane}
            for old in [old for old in _closers if old.is_closed()]:
                del _closers[old]
            mine = _closers.setdefault(loop, [])
            unheld = [entry for entry in mine if entry[0]() is None]
            mine[:] = [entry for entry in mine if entry[0]() is not None]
            mine.append((weakref.ref(self), lane.closer))
        await anext(lane.closer)
        for _, closer in unheld:
            await closer.aclose()
        return lane

    async def aclose(self) -> None:
        """Close the running loop's clients; the next request opens others."""
        loop = asyncio.get_running_loop()
        with _lock:
            lane = self._lanes.pop(loop, None)
            if lane is not None:
                _closers[loop][:] = [entry for entry in _closers[loop] if entry[1] is not lane.closer]
        if lane is not None:
            await lane.closer.aclose()


class Clock:
    """The seconds that one request may still wait for its endpoint, over all attempts.

    Only waiting counts: a slow reader of a stream does not use up the endpoint's time.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self.url, self.total, self.left = url, seconds, seconds

    @asynccontextmanager
    async def waiting(self, limit: float) -> AsyncIterator[None]:
        """Allow what stands in the block `limit` seconds, or what is left if that is less.

        Raises:
            AttemptError: it took longer.
        """
        start = time.monotonic()
        try:
            async with asyncio.timeout(min(limit, self.left)):
                yield
        except TimeoutError:
            fault = AttemptError(
                f"{self.url} gave no answer within {limit:g} s; raise `timeout` if it needs longer", retry=True
            )
        else:
            return
        finally:
            self.left -= time.monotonic() - start
        if self.left <= 0:
            fault = AttemptError(f"{self.url} gave no answer before the deadline of {self.total:g} s")
        raise fault


def pause(attempt: int, asked: float | None, longest: float) -> float:
    """Return the seconds to wait before the next attempt.

    Exponential backoff with full jitter, uniform over [0, 0.5 * 2^attempt] s. Where the endpoint asked for a time, that
    time and up to 0.25 s more, so that waiting clients do not all come back at once. Never above `longest`.

    Source: Brooker 2015, "Exponential Backoff And Jitter".
    """
    if asked is not None:
        return min(asked, longest) + random.uniform(0, 0.25)
    return random.uniform(0, min(longest, 0.5 * 2**attempt))


async def retrying(once: Callable[[], Awaitable[T]], clock: Clock, retries: int, longest_wait: float) -> tuple[T, int]:
    """Return what `once` gives, and how many attempts failed before.

    Raises:
        UpstreamError: no attempt succeeded, or the wait that the endpoint asks for is beyond the deadline.
    """
    attempt = 0
    while True:
        try:
            return await once(), attempt
        except AttemptError as caught:
            fault = caught
        # Raised outside the except block: the HTTP library's exception, which holds the request, is not chained to it.
        wait = pause(attempt, fault.retry_after, longest_wait)
        if not fault.retry or attempt >= retries or wait >= clock.left:
            raise fault.error(attempt + 1)
        clock.left -= wait
        attempt += 1
        await sleep(wait)
