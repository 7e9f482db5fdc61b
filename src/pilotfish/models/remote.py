"""A model behind any OpenAI-compatible endpoint, chat or completions: OpenAI, vLLM, llama.cpp, SGLang, gateways."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Self

from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.model import Delta, Price, Reply, Request, Trace
from pilotfish.models._http import Clock, KeyFrom, Lane, Lanes, Opener, retrying
from pilotfish.models._http_base import below, checked_url, is_near
from pilotfish.models._http_errors import AttemptError
from pilotfish.models._http_exchange import Exchange
from pilotfish.models._http_wire import PATHS, Api, Assembly, body_of, check_api, hash_of, traced
from pilotfish.models.cache import ReplyCache, default_cache

__all__ = ["RemoteModel"]


@dataclass(eq=False)
class RemoteModel:
    """A model at an OpenAI-compatible endpoint.

    The key is read from the environment variable `key_env` when a request is sent. Where the variable is not set, no
    key is sent, which suits servers of one's own; an endpoint that wants one answers 401, and the error names the
    variable. A failed attempt is tried again when that may help (no connection, a dropped one, a timeout, status 408,
    409, 425, 429, 5xx) and nothing of its answer has been shown yet: a stream is never two answers spliced.

    With a cache, equal requests get the same reply and are paid for once, sampled ones too: that is what lets a
    stopped run go on without paying twice. For k different samples of one request, set `metadata={"sample": i}` for i
    in range(k): the number is part of the cache key and is not sent. Equal requests that `reply` gets at the same time
    in one event loop share one call; two streams do not.

    Works in any number of event loops, `pilotfish.ask` included; connections close with their loop, or earlier by
    `aclose` or `async with`. The bound on concurrency holds for each event loop.

    Attributes:
        model: the model's name at the endpoint.
        base_url: up to and without `/chat/completions`; a query such as `?api-version=…` is kept.
        api: "chat" or "completions" (messages joined by blank lines as the prompt).
        key_env: the environment variable that holds the key; None sends none.
        key_header: the header that carries the key: `Bearer` in Authorization, the bare key in any other.
        price: US dollars per million tokens; None where not known: then a reply's cost is None.
        concurrency: requests under way at one time.
        timeout: seconds for a whole answer, or for each next event of a streamed one.
        connect_timeout: seconds to connect.
        deadline: seconds that one request may wait for the endpoint, all attempts and pauses together.
        retries: further attempts after the first.
        longest_wait: seconds; a longer `Retry-After` is cut to this.
        cache: a file, a `ReplyCache`, True for the user's own file; None or False for no cache.
        headers: further headers, not for secrets.
        extra: further body fields for every request; a request's own fields win.
        limit_field: how this endpoint calls `max_tokens`; OpenAI's reasoning models want "max_completion_tokens".
        max_bytes: the longest answer that is read.
        name: what traces show; the model's name where empty.
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    _: KW_ONLY
    api: Api = "chat"
    key_env: str | None = "OPENAI_API_KEY"
    key_header: str = "Authorization"
    price: Price | None = None
    concurrency: int = 8
    timeout: float = 60.0
    connect_timeout: float = 10.0
    deadline: float = 600.0
    retries: int = 4
    longest_wait: float = 60.0
    cache: ReplyCache | Path | str | bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    limit_field: str = "max_tokens"
    max_bytes: int = 32 << 20
    name: str = ""

    def __post_init__(self) -> None:
        url = checked_url(self.base_url)
        self._check_numbers()
        self.name = self.name or self.model
        key = KeyFrom(self.key_env, self.key_header)
        asked = below(url, PATHS[self.api])
        self._exchange = Exchange(asked, self.model, key, dict(self.headers), self.timeout, self.max_bytes)
        host, port = url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
        opener = Opener(url.scheme, host, port, self.timeout, self.connect_timeout, not is_near(url))
        self._lanes = Lanes(self.concurrency, opener)
        if isinstance(self.cache, ReplyCache):
            self._cache: ReplyCache | None = self.cache
        elif self.cache is True:
            self._cache = ReplyCache(default_cache())
        else:
            self._cache = ReplyCache(self.cache) if self.cache else None

    async def reply(self, request: Request) -> Reply:
        """Ask the endpoint, or the cache.

        Raises:
            UpstreamError: the endpoint failed, after the retries.
            ModelError: the request asks what this endpoint's form cannot carry.
            ConfigError: the key's variable holds what cannot be a key.
            DataError: the cache file cannot be used.
        """
        lane = await self._lanes.here()
        body = self._body(request)
        if self._cache is None:
            return await self._ask(lane, body)
        key = self._key(body, request)
        known = await self._known(lane, key)
        if known is not None:
            return known
        lane.pending[key] = asyncio.get_running_loop().create_future()
        outcome: Reply | UpstreamError | None = None
        try:
            outcome = await self._ask(lane, body)
            await self._keep(key, outcome)
        except UpstreamError as error:
            outcome = error
            raise
        finally:
            lane.pending.pop(key).set_result(outcome)  # None where this task was cancelled: one that waits takes over
        return outcome

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Ask the endpoint and give the answer's text as it comes; the last delta has the tool calls and the reply.

        A reply that the cache holds, or that a `reply` of the same request is about to bring, comes as one delta.

        Raises:
            UpstreamError: as in `reply`; also where the stream breaks off after text has been given.
        """
        lane = await self._lanes.here()
        body = self._body(request)
        key = b"" if self._cache is None else self._key(body, request)
        if self._cache is not None:
            known = await self._known(lane, key)
            if known is not None:
                yield Delta(known.text, known.tool_calls, known)
                return
        async with lane.client() as client:
            start, clock = time.perf_counter(), self._clock()
            stream, failed = await retrying(
                lambda: self._exchange.open(client, body, clock), clock, self.retries, self.longest_wait
            )
            broken: AttemptError | None = None
            shown = 0
            try:
                while not stream.ended:
                    shown += len(stream.text)
                    yield Delta(stream.text)
                    try:
                        await stream.advance()
                    except AttemptError as fault:
                        broken = fault
                        break
            finally:
                await stream.aclose()
            if broken is not None:
                message = f"{broken}; the stream broke off after {shown} characters and is not continued"
                raise UpstreamError(message, status=broken.status, retry_after=broken.retry_after)
            reply = self._traced(stream.assembly, time.perf_counter() - start, failed)
        if self._cache is not None:
            await self._keep(key, reply)
        yield Delta(tool_calls=reply.tool_calls, reply=reply)

    async def aclose(self) -> None:
        """Close this event loop's connections and the cache; the next request opens them again."""
        await self._lanes.aclose()
        if self._cache is not None and self._cache is not self.cache:
            self._cache.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _body(self, request: Request) -> dict[str, Any]:
        return body_of(request, self.model, self.api, self.extra, self.limit_field)

    def _key(self, body: Mapping[str, Any], request: Request) -> bytes:
        return hash_of(str(self._exchange.url), self.api, body, request)

    def _clock(self) -> Clock:
        return Clock(self._exchange.shown, self.deadline)

    async def _ask(self, lane: Lane, body: Mapping[str, Any]) -> Reply:
        async with lane.client() as client:
            start, clock = time.perf_counter(), self._clock()
            assembly, failed = await retrying(
                lambda: self._exchange.whole(client, body, clock), clock, self.retries, self.longest_wait
            )
            return self._traced(assembly, time.perf_counter() - start, failed)

    async def _known(self, lane: Lane, key: bytes) -> Reply | None:
        """Return the reply from the cache, or from an equal request that is under way; None where this is the first."""
        assert self._cache is not None
        while True:
            found = self._cache.get(key, self.name)
            if found is not None or key not in lane.pending:
                return found
            pending = lane.pending[key]
            await asyncio.wait([pending])
            outcome = pending.result()
            if isinstance(outcome, UpstreamError):
                raise UpstreamError(str(outcome), status=outcome.status, retry_after=outcome.retry_after)
            if outcome is not None:
                (call,) = outcome.trace.calls
                shared = dataclasses.replace(call, cost=0.0, cached=True, why="shared with an equal request")
                return outcome.with_(trace=Trace((shared,)))  # type: ignore[no-any-return]

    async def _keep(self, key: bytes, reply: Reply) -> None:
        assert self._cache is not None
        # In a thread, since a commit may wait for the disk; shielded, since this reply is paid for already.
        await asyncio.shield(asyncio.to_thread(self._cache.put, key, reply))

    def _traced(self, assembly: Assembly, seconds: float, failed: int) -> Reply:
        notes = f"failed attempts before this one: {failed}" if failed else ""
        return traced(assembly, self.name, self.price, seconds, notes)

    def _check_numbers(self) -> None:
        check_api(self.api)
        for name, least in (("concurrency", 1), ("retries", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be {least} or more, not {getattr(self, name)}")
        for name in ("timeout", "connect_timeout", "deadline", "longest_wait", "max_bytes"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
