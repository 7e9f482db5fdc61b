"""What the resilient models share: streams that are closed in the task that reads them, and calls that failed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pilotfish.model import Call, Delta, Model, Request

__all__ = ["failed_call", "is_shown", "pieces_of"]


async def pieces_of(model: Model, request: Request) -> AsyncGenerator[Delta, None]:
    """Yield the model's stream; close it when this one is closed, so that what it holds open ends at once."""
    stream: Any = model.stream(request)
    if not hasattr(stream, "aclose"):
        async for delta in stream:
            yield delta
        return
    async with aclosing(stream):
        async for delta in stream:
            yield delta


def is_shown(delta: Delta) -> bool:
    """Say whether a piece shows anything of the answer: then no other model may go on with it."""
    return bool(delta.text or delta.tool_calls or delta.reply is not None)


def failed_call(model: Model, error: BaseException, seconds: float) -> Call:
    """Return an attempt that gave no answer. What an endpoint may charge for it is not known; it is counted as 0."""
    line = " ".join(str(error).split())[:200]
    return Call(model.name, "failed", seconds=seconds, why=line)
