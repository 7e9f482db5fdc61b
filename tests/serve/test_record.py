"""What is remembered of one request."""

from __future__ import annotations

from pilotfish.model import Call, Decision, Reply, Request, Trace, Usage
from pilotfish.serve.record import Served

ASKED = Request.of("Who was first on the moon?")


def test_sums_over_every_attempt() -> None:
    calls = (Call("small", tokens_in=7, tokens_out=2, cost=0.001), Call("large", tokens_in=7, tokens_out=4, cost=0.02))
    reply = Reply("Armstrong", trace=Trace(calls, (Decision("assistant", "deferred", -0.9),)))
    served = Served("chatcmpl-1", 1.7e9, "ann", "assistant", ASKED, reply)
    assert served.answered_by == "large"
    assert served.attempts == 2
    assert served.usage == Usage(14, 6, 2)
    assert served.cost == 0.021
    assert served.decisions == (Decision("assistant", "deferred", -0.9),)


def test_a_refused_request_cost_nothing() -> None:
    served = Served("chatcmpl-2", 1.7e9, "", "assistant", ASKED, None, 401, "no key")
    assert (served.answered_by, served.attempts, served.cost, served.usage) == ("", 0, 0.0, Usage())


def test_a_price_nobody_knows_stays_unknown() -> None:
    reply = Reply("x", trace=Trace((Call("a", cost=1.0), Call("b", cost=None))))
    assert Served("chatcmpl-3", 0.0, "", "a", ASKED, reply).cost is None
