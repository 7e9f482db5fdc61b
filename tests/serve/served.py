"""Records of requests as a gateway would make them."""

from __future__ import annotations

from typing import Any

from pilotfish.model import Call, Decision, Reply, Request, Trace
from pilotfish.serve.record import Served

__all__ = ["served"]

NOW = 1.8e9


def served(number: int = 0, prompt: str = "Who was first on the moon?", **changes: Any) -> Served:
    """A cascade's record: every third request was deferred."""
    deferred = number % 3 == 0
    calls: tuple[Call, ...] = (Call("small", tokens_in=8, tokens_out=2, seconds=0.1, cost=0.001),)
    if deferred:
        calls += (Call("large", tokens_in=8, tokens_out=4, seconds=0.4, cost=0.02),)
    score = -1.0 - number % 7 / 10 if deferred else -0.1 - number % 7 / 10
    trace = Trace(calls, (Decision("assistant", "deferred" if deferred else "accepted", score),))
    settings: dict[str, Any] = {
        "id": f"chatcmpl-{number}",
        "time": NOW + number,
        "key": "ann",
        "model": "assistant",
        "request": Request.of(prompt, max_tokens=20),
        "reply": Reply("Armstrong", trace=trace),
        "seconds": 0.6 if deferred else 0.11,
        "overhead": 0.001,
    }
    return Served(**{**settings, **changes})
