"""A time limit on a model: seconds for a whole answer, or for each next piece of a streamed one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.infer.resilient._streams import pieces_of
from pilotfish.model import Delta, Model, Reply, Request

__all__ = ["Timed"]


@dataclass(frozen=True)
class Timed:
    """A model that is given up, and its call cancelled, when it takes too long.

    Attributes:
        model: the model.
        seconds: for a whole reply; of a stream, for the first piece and for each next one.
    """

    model: Model
    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"a time limit must be above 0 seconds, not {self.seconds}")

    @property
    def name(self) -> str:
        """The model's own name: the limit is no model of its own."""
        return self.model.name

    async def reply(self, request: Request) -> Reply:
        """Answer in time.

        Raises:
            UpstreamError: it took too long (status 504).
        """
        try:
            async with asyncio.timeout(self.seconds) as limit:
                return await self.model.reply(request)
        except TimeoutError:
            if not limit.expired():
                raise  # the model's own
            raise self._late("an answer") from None

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Pass the model's stream on.

        Raises:
            UpstreamError: a piece took too long (status 504).
        """
        async with aclosing(pieces_of(self.model, request)) as pieces:
            while True:
                try:
                    async with asyncio.timeout(self.seconds) as limit:
                        delta = await anext(pieces, None)
                except TimeoutError:
                    if not limit.expired():
                        raise
                    raise self._late("the next piece of a stream") from None
                if delta is None:
                    return
                yield delta

    def _late(self, what: str) -> UpstreamError:
        return UpstreamError(f"{self.name}: {what} took more than {self.seconds:g} s", status=504)
