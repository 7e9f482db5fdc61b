"""One request on its way through the gateway: who asked what, when, and where the time went."""

from __future__ import annotations

import itertools
import os
import time
from typing import Any

from pilotfish.model import Call, Delta, Reply, Request, Trace
from pilotfish.serve.keys import Key
from pilotfish.serve.record import Served

__all__ = ["Visit", "tokens_guessed"]

# Unique between processes by the random part, within one by the number: a tenth of what a UUID costs.
_PROCESS = os.urandom(8).hex()
_numbers = itertools.count()


class Visit:
    """The state of one request; `served` makes the record of it that logs keep.

    Attributes:
        id: what the client sees as the answer's id.
        key: who asks; None until that is known.
        model: the name of the model that was asked for; "" until it is known.
        request: the request; None until it is read.
        reply: the reply, as far as there is one.
        held: the name under which the response cache holds replies; the model's where empty.
        models: seconds spent waiting for models.
        first: `time.perf_counter()` at the first byte of a stream's answer, or None.
        admitted: the tokens that were taken from the key's allowance beforehand.
        guessed: whether the reply is made up from what has come.
        done: True when the last byte is about to go out: a client that leaves from now on has its answer.
    """

    __slots__ = (
        "admitted",
        "cached",
        "done",
        "error",
        "first",
        "guessed",
        "held",
        "id",
        "key",
        "model",
        "models",
        "path",
        "reply",
        "request",
        "started",
        "status",
        "streamed",
        "text",
        "time",
    )

    def __init__(self, path: str, prefix: str) -> None:
        self.path = path
        self.id = f"{prefix}-{_PROCESS}{next(_numbers):08x}"
        self.started = time.perf_counter()
        self.time = time.time()
        self.key: Key | None = None
        self.model = self.held = ""
        self.request: Request | None = None
        self.reply: Reply | None = None
        self.status = 200
        self.error = ""
        self.models = 0.0
        self.first: float | None = None
        self.admitted = 0
        self.streamed = self.cached = self.done = self.guessed = False
        self.text: list[str] = []

    @property
    def overhead(self) -> float:
        """Seconds until now that were not spent waiting for models."""
        return max(0.0, time.perf_counter() - self.started - self.models)

    def took(self, delta: Delta) -> None:
        """Note a piece of a stream."""
        if delta.text:
            self.text.append(delta.text)
        if delta.reply is not None:
            self.reply = delta.reply

    def gone(self, why: str = "the client left before the answer was whole") -> None:
        """Note that nobody waits any more. What the models have done is paid for, as far as can be told."""
        self.status, self.error = 499, why
        self.guess("cancelled")

    def guess(self, why: str) -> None:
        """Make up the reply from what has come, where the model did not get to say what it took."""
        if self.reply is None and self.request is not None:
            self.guessed = True
            text = "".join(self.text)
            asked = sum(tokens_guessed(message.text) for message in self.request.messages)
            told = tokens_guessed(text)
            call = Call(self.model, tokens_in=asked, tokens_out=told, cost=None, why=f"{why}; tokens guessed")
            self.reply = Reply(text, finish_reason=why, trace=Trace((call,)))

    def served(self) -> Served:
        """Return the record of this request, which has ended."""
        now = time.perf_counter()
        return Served(
            id=self.id,
            time=self.time,
            key=self.key.name if self.key is not None else "",
            model=self.model,
            request=self.request if self.request is not None else _NOTHING,
            reply=self.reply,
            status=self.status,
            error=self.error,
            seconds=now - self.started,
            overhead=max(0.0, now - self.started - self.models),
            first_byte=None if self.first is None else self.first - self.started,
            streamed=self.streamed,
            cached=self.cached,
        )

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return what the headers tell of the answer, as far as it is known by now."""
        found = [(b"x-request-id", self.id.encode())]
        if self.reply is None:
            return found
        trace = self.reply.trace
        if trace.calls:
            found.append((b"x-pilotfish-model", _latin(trace.calls[-1].model)))
        if trace.decisions:
            last = trace.decisions[-1]
            found.append((b"x-pilotfish-verdict", _latin(last.verdict)))
            if last.score is not None:
                found.append((b"x-pilotfish-score", b"%.6g" % last.score))
            if last.threshold is not None:
                found.append((b"x-pilotfish-threshold", b"%.6g" % last.threshold))
        found.append((b"x-pilotfish-attempts", b"%d" % len(trace.calls)))
        cost = trace.cost
        if cost is not None:
            found.append((b"x-pilotfish-cost", b"%.9f" % cost))
        found.append((b"x-pilotfish-overhead-ms", b"%.3f" % (1000 * self.overhead)))
        return found

    def told(self) -> dict[str, Any]:
        """Return the same as data, for the end of a stream, whose headers have long gone out."""
        trace = Trace() if self.reply is None else self.reply.trace
        last = trace.decisions[-1] if trace.decisions else None
        return {
            "model": trace.calls[-1].model if trace.calls else None,
            "score": None if last is None else last.score,
            "threshold": None if last is None else last.threshold,
            "verdict": None if last is None else last.verdict,
            "attempts": len(trace.calls),
            "cost": trace.cost,
            "overhead_ms": round(1000 * self.overhead, 3),
        }


_NOTHING = Request(())


def tokens_guessed(text: str) -> int:
    """Return about how many tokens a text has: a quarter of its bytes, which suits English and errs high elsewhere."""
    return (len(text.encode("utf-8", "replace")) + 3) // 4


def _latin(text: str) -> bytes:
    """Return a text as a header can carry it."""
    return "".join(c if c.isprintable() else " " for c in text).encode("latin-1", "replace")
