"""Asking a model as its callers do: several requests at once, or piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pilotfish import ask
from pilotfish.model import Delta, Model, Reply, Request

__all__ = ["are_answers_alone", "streamed", "together"]


def together(model: Model, requests: Sequence[Request]) -> list[Reply]:
    """The replies to requests that are made at the same time."""

    async def run() -> list[Reply]:
        return await asyncio.gather(*(model.reply(request) for request in requests))

    return asyncio.run(run())


def streamed(model: Model, request: Request) -> list[Delta]:
    """All that a model streams."""

    async def run() -> list[Delta]:
        return [delta async for delta in model.stream(request)]

    return asyncio.run(run())


def are_answers_alone(model: Model, requests: Sequence[Request]) -> None:
    """Fail unless requests made together, and one that is streamed, are answered as each is alone."""
    alone = [ask(model, request).text for request in requests]
    assert [reply.text for reply in together(model, requests)] == alone
    assert "".join(delta.text for delta in streamed(model, requests[1])) == alone[1]
