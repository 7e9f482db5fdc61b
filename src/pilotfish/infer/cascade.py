"""Model cascade: the small model answers first; the large one answers when that reply is not trusted.

Source: Chen et al. 2023 (FrugalGPT), section 3, "LLM cascade"; deferral by the small model's own confidence: Chow 1970
and Gupta et al. 2024.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.infer.accept import Accept
from pilotfish.measure.checks import Verdict
from pilotfish.model import Delta, Model, Reply, Request


@dataclass(frozen=True)
class Cascade:
    """A model that asks `small`, and `large` too where `accept(request, reply)` does not trust the reply.

    The trace of the reply holds both calls, and those that judging took, so its cost is the sum of all. The small model
    is asked for log-probabilities, which the usual scores need; they are left in the reply only where the request asked
    for them. Of several answers (`n` above 1) the first is judged. More than two models: see `of`.
    """

    small: Model
    large: Model
    accept: Accept
    name: str = "cascade"

    @classmethod
    def of(cls, models: Sequence[Model], accepts: Sequence[Accept], name: str = "cascade") -> Cascade:
        """Return a cascade of models in order, each but the last with what trusts its replies.

        Raises:
            ConfigError: fewer than two models, or not one `accept` for each but the last.
        """
        if len(models) < 2 or len(accepts) != len(models) - 1:
            raise ConfigError(
                f"a cascade needs two models or more and one way to accept for each but the last; "
                f"got {len(models)} and {len(accepts)}"
            )
        rest = models[1] if len(models) == 2 else cls.of(models[1:], accepts[1:], name)
        return cls(models[0], rest, accepts[0], name)

    async def reply(self, request: Request) -> Reply:
        """Answer by the small model where it is trusted, else by the large one."""
        said, verdict = await self._first(request)
        return said if verdict.accepted else self._deferred(await self.large.reply(request), said, verdict)

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Decide before the first byte: the small reply is whole when it is judged; the large one streams."""
        said, verdict = await self._first(request)
        if verdict.accepted:
            yield Delta(text=said.text, tool_calls=said.tool_calls, reply=said)
            return
        async for delta in self.large.stream(request):
            if delta.reply is None:
                yield delta
            else:
                whole = self._deferred(delta.reply, said, verdict)
                yield Delta(text=delta.text, tool_calls=delta.tool_calls, reply=whole)

    async def _first(self, request: Request) -> tuple[Reply, Verdict]:
        """Return the small model's reply, with all that it and judging it took in its trace, and the verdict on it."""
        said = await self.small.reply(request.with_(logprobs=True, top_logprobs=max(2, request.top_logprobs)))
        verdict = self.accept(request, said)
        if inspect.isawaitable(verdict):
            verdict = await verdict
        spent = said.trace + verdict.trace
        said = (verdict.reply or said).with_(trace=spent)
        if not request.logprobs:
            said = said.with_(logprobs=None)
        if verdict.accepted:
            said = said.decided(self.name, "accepted", verdict.score, verdict.threshold)
        return said, verdict

    def _deferred(self, reply: Reply, said: Reply, verdict: Verdict) -> Reply:
        return reply.after(said).decided(self.name, "deferred", verdict.score, verdict.threshold)
