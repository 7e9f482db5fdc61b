"""`/v1/chat/completions`: ask the model, and send its reply whole or as it comes."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Any

from pilotfish.model import Delta, Model, Request
from pilotfish.serve._asgi import Out
from pilotfish.serve._asking import ask, deltas
from pilotfish.serve._chat import Chunks, chat_json, chat_request
from pilotfish.serve._faults import Fault
from pilotfish.serve._house import House
from pilotfish.serve._visit import Visit

__all__ = ["chat"]


async def chat(gateway: House, visit: Visit, data: dict[str, Any], out: Out) -> None:
    """Answer a chat.

    Raises:
        Fault: the request is wrong.
        PilotfishError: the model failed.
    """
    model = gateway.model(visit, data, gateway.models)
    request = chat_request(data, gateway.settings)
    gateway.admit(visit, request)
    if data.get("stream"):
        options = data.get("stream_options") or {}
        await _stream(gateway, visit, model, request, out, usage=bool(options.get("include_usage")))
        return
    visit.reply = await ask(gateway, visit, model, request)
    await out.whole(chat_json(visit, visit.reply))


async def _stream(gateway: House, visit: Visit, model: Model, request: Request, out: Out, *, usage: bool) -> None:
    """Send the reply as it comes.

    The head goes out with the first piece, not before: until then an error has a status of its own, and a
    collaboration may still be making up its mind.
    """
    visit.streamed = True
    chunks = Chunks(visit, usage)
    given = 0
    async with aclosing(deltas(gateway, visit, model, request)) as pieces:  # type: ignore[type-var]
        first: Delta | None = await anext(pieces, None)
        if first is None:
            raise Fault(502, f"{visit.model} gave no answer", "upstream_error")
        await out.open()
        visit.first = time.perf_counter()
        await out.event(chunks.opening())
        delta = first
        while True:
            if delta.text:
                await out.event(chunks.text(delta.text))
            if delta.tool_calls:
                await out.event(chunks.calls(delta.tool_calls, start=given))
                given += len(delta.tool_calls)
            following = await anext(pieces, None)
            if following is None:
                break
            delta = following
    reply = visit.reply
    if reply is None:
        raise Fault(502, f"{visit.model} broke off", "upstream_error")
    last = [chunks.ending(reply)]
    for index, other in enumerate(reply.choices, 1):
        # Only the first of several answers comes piece by piece.
        last += [chunks.text(other.text, index)] if other.text else []
        last += [chunks.calls(other.tool_calls, index)] if other.tool_calls else []
        last.append(chunks.ending(other, index))
    if usage:
        last.append(chunks.usage(reply))
    await out.close(*last)
