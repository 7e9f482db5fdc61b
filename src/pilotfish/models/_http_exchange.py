"""One exchange with an endpoint: send a body, check what comes back, read it whole or event by event."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx

from pilotfish.errors import ConfigError
from pilotfish.models._http import Clock, KeyFrom
from pilotfish.models._http_client import Client, DirectResponse, Response
from pilotfish.models._http_errors import AttemptError, http_fault, safe_url, status_fault, tidy
from pilotfish.models._http_json import dumps, loads
from pilotfish.models._http_wire import Assembly
from pilotfish.models._sse import Event, EventParser

__all__ = ["Exchange", "OpenStream", "header_lines"]

_MAX_ERROR_BYTES = 1 << 16  # an error's text is one line; the rest of a long page is left unread
_LAST_BYTES_SECONDS = 0.1
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LOG = logging.getLogger("pilotfish.remote")


@dataclass(frozen=True)
class Exchange:
    """What every request to one endpoint has in common.

    Attributes:
        url: the whole URL, `…/chat/completions` or `…/completions`.
        model: the model's name, for errors.
        key: where the key comes from.
        headers: further headers.
        timeout: seconds that a whole answer, or the next event of a streamed one, may take.
        max_bytes: the longest answer that is read.
    """

    url: httpx.URL
    model: str
    key: KeyFrom
    headers: Mapping[str, str]
    timeout: float
    max_bytes: int
    shown: str = field(init=False)
    _prefix: bytes = field(init=False, repr=False)
    _spare: bytes = field(init=False, repr=False)

    # `identity`: a compressed stream may sit in somebody's buffer, and a small body may inflate without end.
    own_headers: ClassVar[Mapping[str, str]] = {"Content-Type": "application/json", "Accept-Encoding": "identity"}

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", safe_url(self.url))
        mine = self.key.header.lower()
        target, host = self.url.raw_path, self.url.netloc
        named = {name.lower() for name in self.headers}
        usual = {} if "user-agent" in named else {"User-Agent": "pilotfish"}
        usual |= {} if "accept" in named else {"Accept": "*/*"}
        ours = {name.lower() for name in (*self.own_headers, "Host", "Content-Length", "Transfer-Encoding")}
        others = {name: value for name, value in self.headers.items() if name.lower() not in (*ours, mine)}
        lines = header_lines({**usual, **others, **self.own_headers})
        spare = header_lines({name: value for name, value in self.headers.items() if name.lower() == mine})
        object.__setattr__(self, "_prefix", b"POST %s HTTP/1.1\r\nHost: %s\r\n%s" % (target, host, lines))
        object.__setattr__(self, "_spare", spare)

    def head(self) -> tuple[bytes, bytes]:
        """Return the request's head but for its length: what is always the same, and the key's line.

        Where there is no key, a header of its name that the settings give takes its place.

        Raises:
            ConfigError: no header can carry the key.
        """
        return self._prefix, self.key.line() or self._spare

    async def whole(self, client: Client, body: Mapping[str, Any], clock: Clock) -> Assembly:
        """Return the answer to `body`, read to its end.

        Raises:
            AttemptError: there is no answer, or what came is none.
        """
        response = await self._send(client, body, clock)
        try:
            _check_type(self.shown, response, "json")
            raw = await self._read(response, clock, self.max_bytes)
        finally:
            await response.aclose()
        if len(raw) > self.max_bytes:
            raise self.too_long()
        assembly = Assembly(self.shown, bool(body.get("logprobs")))
        assembly.add(self.parsed(raw))
        assembly.reply()  # raises where the choices are empty
        return assembly

    async def open(self, client: Client, body: Mapping[str, Any], clock: Clock) -> OpenStream:
        """Return the stream that answers `body`, read up to its first text (or to its end, where there is none).

        Until then nothing has been shown to anybody, so a failed `open` may be tried again.

        Raises:
            AttemptError: there is no stream, or it broke off before its first text.
        """
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        response = await self._send(client, asked, clock)
        try:
            _check_type(self.shown, response, "event-stream", "json")
            stream = OpenStream(self, response, clock, Assembly(self.shown, bool(body.get("logprobs"))))
            await stream.advance()
        except BaseException:
            await response.aclose()
            raise
        return stream

    def parsed(self, raw: bytes | str) -> Any:
        """Return the JSON in `raw`, with the key taken out should the endpoint have echoed it."""
        try:
            return loads(self.key.redact(raw) if isinstance(raw, str) else self.key.redact_bytes(raw))
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise AttemptError(f"{self.shown} sent malformed JSON: {why}")

    def too_long(self) -> AttemptError:
        """Return the fault for an answer without end."""
        return AttemptError(f"{self.shown} sent more than {self.max_bytes} bytes; raise `max_bytes` if that is right")

    async def _send(self, client: Client, body: Mapping[str, Any], clock: Clock) -> Response:
        raw = dumps(body)
        try:
            async with clock.waiting(self.timeout):
                response = await client.post(self, raw)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise http_fault(self.shown, error, self.timeout) from None
        _LOG.debug("POST %s: %d", self.shown, response.status_code)
        if response.status_code == 200:
            return response
        try:
            raw = await self._read(response, clock, _MAX_ERROR_BYTES)
        finally:
            await response.aclose()
        said = self.key.redact(raw[:_MAX_ERROR_BYTES].decode("utf-8", "replace"))
        raise status_fault(self.shown, self.model, response, said, self.key.spoken)

    async def _read(self, response: Response, clock: Clock, limit: int) -> bytes:
        """Return the body; a little more than `limit` bytes where it is longer."""
        if isinstance(response, DirectResponse) and response.whole is not None:
            return response.whole
        raw = bytearray()
        try:
            async with clock.waiting(self.timeout):
                async for chunk in response.aiter_bytes():
                    raw += chunk
                    if len(raw) > limit:
                        break
        except httpx.HTTPError as error:
            raise http_fault(self.shown, error, self.timeout) from None
        return bytes(raw)


class OpenStream:
    """A streamed answer under way.

    Attributes:
        text: the text that the last `advance` brought.
        ended: whether the endpoint said that the answer is whole.
        assembly: everything that has come.
    """

    def __init__(self, exchange: Exchange, response: Response, clock: Clock, assembly: Assembly) -> None:
        self._exchange = exchange
        self._response = response
        self._clock = clock
        self._events = self._read()
        self._ready: deque[Event] = deque()  # what came together with the last event
        self.assembly = assembly
        self.text = ""
        self.ended = False

    async def advance(self) -> None:
        """Read on to the next text of the first answer, or to the end.

        Raises:
            AttemptError: the stream broke off, fell silent, or sent an error.
        """
        self.text = ""
        while not self.text and not self.ended:
            event = await self._next()
            if event.data.strip() == "[DONE]":
                self.assembly.reply()  # raises where no choice came
                self.ended = True
            elif event.type == "error":
                said = tidy(self._exchange.key.redact(event.data))
                raise AttemptError(f"{self._exchange.shown} sent an error: {said}", retry=True)
            else:
                self.text = self.assembly.add(self._exchange.parsed(event.data))

    async def aclose(self) -> None:
        """Hang up; the connection is kept for the next request only where the answer was read to its end."""
        if self.ended:
            # The answer is whole, so what goes wrong between [DONE] and the last byte costs the connection only.
            with suppress(TimeoutError, httpx.HTTPError, UnicodeDecodeError, AttemptError):
                async with asyncio.timeout(_LAST_BYTES_SECONDS):
                    async for _ in self._events:
                        pass
        await self._events.aclose()
        await self._response.aclose()

    async def _next(self) -> Event:
        # Silence is measured between events, not bytes: comments and drips of single bytes are no progress.
        if self._ready:
            return self._ready.popleft()
        shown = self._exchange.shown
        try:
            async with self._clock.waiting(self._exchange.timeout):
                self._ready.extend(await anext(self._events))
            return self._ready.popleft()
        except StopAsyncIteration:
            raise AttemptError(
                f"{shown} ended the stream without [DONE]: the answer is not whole", retry=True
            ) from None
        except httpx.HTTPError as error:
            raise http_fault(shown, error, self._exchange.timeout) from None
        except UnicodeDecodeError:
            raise AttemptError(f"{shown} sent a stream that is not UTF-8") from None

    async def _read(self) -> AsyncGenerator[list[Event], None]:
        """Yield the events as they come, those that come together as one list; none is empty."""
        parser, size, whole = EventParser(), 0, bytearray()
        streamed = "event-stream" in self._response.headers.get("content-type", "")
        async for chunk in self._response.aiter_bytes():
            size += len(chunk)
            if size > self._exchange.max_bytes:
                raise self._exchange.too_long()
            if not streamed:
                whole += chunk
                continue
            events = parser.feed(chunk)
            if events:
                yield events
        if not streamed:  # the endpoint does not stream, and sent its answer whole
            yield [Event(whole.decode("utf-8")), Event("[DONE]")]
            return
        last = parser.close()
        if last is not None and last.data.strip() == "[DONE]":
            yield [last]


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Return headers as they go over the wire.

    Raises:
        ConfigError: no header can be called so or carry that; the value, which may be a secret, is not shown.
    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(f"headers: {name!r} is no name of a header")
        if not (value.isascii() and (value.isprintable() or not value)):
            raise ConfigError(f"headers: {name} holds characters that no header can carry")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


def _check_type(shown: str, response: Response, *accepted: str) -> None:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not any(part in kind for part in accepted):
        raise AttemptError(
            f"{shown} sent {tidy(kind) or 'no content type'}, not a completion: check base_url", status=200
        )
