"""Answers given before: to the very same request, and where it is asked for, to one that means the same.

A similar request's answer is a guess that it fits this one too. How often that holds at which threshold is measured in
docs/guides/traffic.md.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from pilotfish.errors import ConfigError
from pilotfish.model import Decision, Reply, Request, Trace
from pilotfish.serve._same_sense import may_be_same
from pilotfish.serve._similar import Encodes, Similar, Vector, unit

__all__ = ["ResponseCache"]

_NAME = "response-cache"
_TRIED = 32  # the nearest texts that are compared word by word; a crowd of near ones would hold up everyone
_WAITING = 1024  # vectors kept between a search that found nothing and the answer that follows


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, what was asked, and the context it belongs to where similar requests may have it."""

    reply: Reply
    until: float
    size: int
    asked: str
    context: str | None


@dataclass(eq=False)
class ResponseCache:
    """Replies in memory by request; the one not used for the longest time goes first.

    Equal requests share an answer, sampled ones too; for k different samples of one request set
    `metadata={"sample": i}`. Similar requests share one only with an `encoder`, and only where temperature is 0 or not
    set, `n` is 1, and neither tools nor log-probabilities are asked for: the model, every setting and all messages must
    be equal but the text of the last one, the user's. Both texts must hold the same numbers and no opposite words, and
    the cosine of their vectors must be `threshold` or more.

    Attributes:
        ttl: seconds that an answer is kept.
        max_entries: answers kept.
        max_bytes: of text and vectors, roughly.
        encoder: makes vectors of texts; None finds equal requests only.
        threshold: the least cosine, in (0, 1].
        clock: seconds that never run backwards.
        hits, similar, misses: how many searches ended so; `similar` are not among `hits`.
    """

    ttl: float = 3600.0
    max_entries: int = 10_000
    max_bytes: int = 256 << 20
    encoder: Encodes | None = None
    threshold: float = 0.95
    clock: Callable[[], float] = time.monotonic
    hits: int = field(default=0, init=False)
    similar: int = field(default=0, init=False)
    misses: int = field(default=0, init=False)
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict, init=False, repr=False)
    _contexts: dict[str, Similar] = field(default_factory=dict, init=False, repr=False)
    _vectors: OrderedDict[str, Vector] = field(default_factory=OrderedDict, init=False, repr=False)
    _bytes: int = field(default=0, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("ttl", "max_entries", "max_bytes"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"the response cache's {name} must be above 0, not {getattr(self, name)}")
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"the response cache's threshold is a cosine in (0, 1], not {self.threshold}")

    def __len__(self) -> int:
        return len(self._kept)

    async def find(self, model: str, request: Request, scope: str = "") -> Reply | None:
        """Return an answer given before, its calls marked cached at no cost; None where there is none.

        Args:
            model: the name that was asked for.
            request: the request.
            scope: those who share answers, such as a key's name; "" for everyone.
        """
        key = _key(model, request, scope)
        with self._lock:
            kept = self._alive(key)
            if kept is not None:
                self.hits += 1
                return _again(kept.reply, "equal", None)
        context = self._context(model, request, scope)
        if context is not None:
            vector = await self._vector(key, request)
            with self._lock:
                found = self._near(context, vector, request.prompt)
                if found is not None:
                    self.similar += 1
                    return _again(found[0], "similar", found[1])
        with self._lock:
            self.misses += 1
        return None

    async def keep(self, model: str, request: Request, reply: Reply, scope: str = "") -> None:
        """Keep a whole answer; one that came from here already is not kept again."""
        if any(decision.model == _NAME for decision in reply.trace.decisions):
            return
        key, context = _key(model, request, scope), self._context(model, request, scope)
        vector = None if context is None else await self._vector(key, request)
        size = len(key) + len(request.prompt) + _size(reply) + (0 if vector is None else vector.nbytes)
        if size > self.max_bytes:
            return
        with self._lock:
            self._vectors.pop(key, None)
            if key in self._kept:
                self._drop(key)
            self._kept[key] = _Kept(reply, self.clock() + self.ttl, size, request.prompt, context)
            self._bytes += size
            if context is not None and vector is not None:
                self._contexts.setdefault(context, Similar()).add(key, vector)
            while len(self._kept) > self.max_entries or self._bytes > self.max_bytes:
                self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget every answer."""
        with self._lock:
            self._kept.clear()
            self._contexts.clear()
            self._vectors.clear()
            self._bytes = 0

    def _context(self, model: str, request: Request, scope: str) -> str | None:
        """Return what must be equal for a similar request's answer to serve; None where none may."""
        if self.encoder is None or request.temperature or request.tools or request.n != 1 or request.logprobs:
            return None
        if not request.messages or request.messages[-1].role != "user" or not request.prompt.strip():
            return None
        last = request.messages[-1]
        if not isinstance(last.content, str):
            return None  # a picture is no text
        emptied = dataclasses.replace(last, content="")
        return _key(model, request.with_(messages=(*request.messages[:-1], emptied)), scope)

    async def _vector(self, key: str, request: Request) -> Vector:
        """Return the last turn's vector, made in a thread, and once for a search and the answer that follows it."""
        with self._lock:
            known = self._vectors.get(key)
        if known is not None:
            return known
        assert self.encoder is not None
        vector = unit((await asyncio.to_thread(self.encoder.encode, [request.prompt]))[0])
        with self._lock:
            self._vectors[key] = vector
            while len(self._vectors) > _WAITING:
                self._vectors.popitem(last=False)
        return vector

    def _near(self, context: str, vector: Vector, asked: str) -> tuple[Reply, float] | None:
        index = self._contexts.get(context)
        if index is None:
            return None
        now, tried = self.clock(), 0
        old: list[str] = []

        def fits(key: str) -> bool:
            nonlocal tried
            kept = self._kept[key]
            if kept.until <= now:
                old.append(key)
                return False
            tried += 1
            return tried <= _TRIED and may_be_same(asked, kept.asked)

        found = index.near(vector, self.threshold, fits)
        for key in old:
            self._drop(key)
        if found is None:
            return None
        self._kept.move_to_end(found[0])
        return self._kept[found[0]].reply, found[1]

    def _alive(self, key: str) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= self.clock():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key)
        self._bytes -= kept.size
        if kept.context is not None:
            index = self._contexts[kept.context]
            index.remove(key)
            if not index:
                del self._contexts[kept.context]


def _key(model: str, request: Request, scope: str) -> str:
    sample = request.metadata.get("sample")
    whole = "\x00".join((scope, model, "" if sample is None else repr(sample), request.key()))
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def _again(reply: Reply, verdict: str, score: float | None) -> Reply:
    calls = tuple(
        dataclasses.replace(call, seconds=0.0, cost=0.0, cached=True, why="response cache")
        for call in reply.trace.calls
    )
    return reply.with_(
        trace=Trace(calls, (*reply.trace.decisions, Decision(_NAME, verdict, score)), reply.trace.sources)
    )


def _size(reply: Reply) -> int:
    tokens = sum(64 + 64 * len(token.top) for token in reply.logprobs or ())
    calls = sum(len(call.arguments) for call in reply.tool_calls)
    return 256 + len(reply.text) + calls + tokens + sum(map(_size, reply.choices))
