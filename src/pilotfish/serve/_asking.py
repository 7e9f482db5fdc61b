"""Asking a model for a client: memory first, within the time, and with a note of where the time went."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from pilotfish.model import Delta, Model, Reply, Request
from pilotfish.serve._house import House
from pilotfish.serve._patience import Patience
from pilotfish.serve._visit import Visit

__all__ = ["ask", "deltas"]


async def ask(gateway: House, visit: Visit, model: Model, request: Request) -> Reply:
    """Ask the cache, then the model, and note how long it took.

    Raises:
        TimeoutError: the model needs longer than the gateway waits.
    """
    found = await _found(gateway, visit, request)
    if found is not None:
        return found
    start = time.perf_counter()
    try:
        async with asyncio.timeout(gateway.settings.timeout):
            reply = await model.reply(request)
    finally:
        visit.models += time.perf_counter() - start
    await _keep(gateway, visit, request, reply)
    return reply


async def deltas(gateway: House, visit: Visit, model: Model, request: Request) -> AsyncIterator[Delta]:
    """Ask the cache, then the model, piece by piece; note how long it took and what came.

    Raises:
        TimeoutError: the next piece takes longer than the gateway waits.
    """
    found = await _found(gateway, visit, request)
    if found is not None:
        delta = Delta(found.text, found.tool_calls, found)
        visit.took(delta)
        yield delta
        return
    stream = model.stream(request)
    patience = Patience(gateway.settings.timeout)
    try:
        while True:
            start = time.perf_counter()
            try:
                delta = await patience.wait(anext(stream))
            except StopAsyncIteration:
                break
            finally:
                visit.models += time.perf_counter() - start
            visit.took(delta)
            yield delta
    finally:
        patience.end()
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
    if visit.reply is not None:
        await _keep(gateway, visit, request, visit.reply)


async def _found(gateway: House, visit: Visit, request: Request) -> Reply | None:
    if gateway.answers is None:
        return None
    found = await gateway.answers.find(visit.held or visit.model, request, _scope(gateway, visit))
    visit.cached = found is not None
    return found


async def _keep(gateway: House, visit: Visit, request: Request, reply: Reply) -> None:
    if gateway.answers is not None:
        await gateway.answers.keep(visit.held or visit.model, request, reply, _scope(gateway, visit))


def _scope(gateway: House, visit: Visit) -> str:
    return "" if gateway.shared_answers or visit.key is None else visit.key.name
