"""Model cascade: the small model answers first; the large one answers when that reply is not trusted.

Source: Chen et al. 2023 (FrugalGPT), section 3, "LLM cascade"; deferral by the small model's own confidence: Chow 1970
and Gupta et al. 2024.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from pilotfish.infer.accept import Accept
from pilotfish.model import Delta, Model, Reply, Request


@dataclass(frozen=True)
class Cascade:
    """A model that asks `small`, and `large` too where `accept(request, reply)` does not trust the reply.

    The trace of the reply holds both calls, so its cost is the sum of both. The small model is asked for
    log-probabilities, which the usual scores need; they are left in the reply only where the request asked for them.
    """

    small: Model
    large: Model
    accept: Accept
    name: str = "cascade"

    async def reply(self, request: Request) -> Reply:
        """Answer by the small model where it is trusted, else by the large one."""
        first = await self._first(request)
        verdict = self.accept(request, first)
        if verdict.accepted:
            return _as_asked(request, first).decided(self.name, "accepted", verdict.score)
        return (await self.large.reply(request)).after(first).decided(self.name, "deferred", verdict.score)

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Decide before the first byte: the small reply is whole when it is judged; the large one streams."""
        first = await self._first(request)
        verdict = self.accept(request, first)
        if verdict.accepted:
            reply = _as_asked(request, first).decided(self.name, "accepted", verdict.score)
            yield Delta(text=reply.text, tool_calls=reply.tool_calls, reply=reply)
            return
        async for delta in self.large.stream(request):
            if delta.reply is None:
                yield delta
            else:
                whole = delta.reply.after(first).decided(self.name, "deferred", verdict.score)
                yield Delta(text=delta.text, tool_calls=delta.tool_calls, reply=whole)

    async def _first(self, request: Request) -> Reply:
        return await self.small.reply(request.with_(logprobs=True, top_logprobs=max(2, request.top_logprobs)))


def _as_asked(request: Request, reply: Reply) -> Reply:
    return reply if request.logprobs else reply.with_(logprobs=None)
