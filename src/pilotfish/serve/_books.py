"""The books: what a request that has ended is counted for, and what a reply that was cut short is thought to cost."""

from __future__ import annotations

import dataclasses

from pilotfish.model import Price, Reply, Trace, Usage
from pilotfish.serve._asgi import Scope, header
from pilotfish.serve._house import House
from pilotfish.serve._visit import Visit

__all__ = ["book"]


def book(gateway: House, visit: Visit, scope: Scope) -> None:
    """Count a request that has ended: in the key's allowance, in the metrics and in the log."""
    if visit.reply is not None:
        _price(gateway, visit, visit.reply)
    served = visit.served()
    if visit.key is not None and visit.request is not None and (visit.reply is not None or visit.admitted):
        usage = visit.reply.usage if visit.reply is not None else Usage()
        visit.key.spent(usage, served.cost, visit.admitted)
    gateway.metrics.count(visit.path, served)
    if gateway.log is not None and visit.request is not None:
        gateway.log.put(served)
    if gateway.traces is not None:
        gateway.traces.put(served, header(scope, b"traceparent"))


def _price(gateway: House, visit: Visit, reply: Reply) -> None:
    """Learn what a token of a model costs, and put a price on a reply that was cut short, or budgets would leak."""
    usage, cost = reply.usage, reply.cost
    tokens = usage.tokens_in + usage.tokens_out
    dollars, counted = gateway.rates.get(visit.model, (0.0, 0))
    if not visit.guessed:
        if cost is not None and tokens and not visit.cached:
            gateway.rates[visit.model] = (dollars + cost, counted + tokens)
        return
    price = getattr(gateway.models.get(visit.model), "price", None)
    guess = price.cost(usage.tokens_in, usage.tokens_out) if isinstance(price, Price) else None
    if guess is None and counted:
        guess = tokens * dollars / counted
    (call,) = reply.trace.calls
    visit.reply = reply.with_(trace=Trace((dataclasses.replace(call, cost=guess),)))
