"""Fallback: models in order; the next is asked when one fails."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from pilotfish.errors import ConfigError, ModelError, UpstreamError
from pilotfish.infer.resilient._streams import failed_call, is_shown, pieces_of
from pilotfish.model import Call, Decision, Delta, Model, Reply, Request, Trace

__all__ = ["Fallback"]


@dataclass(frozen=True)
class Fallback:
    """A model that asks `models` in order until one answers.

    A model has failed when it raises a ModelError, an UpstreamError among them: unreachable, refused, timed out (see
    `Timed`), its breaker open (see `Breaker`), or unable to answer this request. The trace holds a call with the role
    "failed" for each. A stream may fall back only until its first piece: after that its failure is the caller's to
    know, for half an answer is never continued by another model.
    """

    models: Sequence[Model]
    name: str = "fallback"

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("a fallback needs models")

    async def reply(self, request: Request) -> Reply:
        """Answer by the first model that can.

        Raises:
            UpstreamError: every model failed, one of them at least by its endpoint.
            ModelError: no model can answer this request.
        """
        failed: list[Call] = []
        errors: list[ModelError] = []
        for model in self.models:
            start = time.perf_counter()
            try:
                return self._traced(await model.reply(request), model, failed)
            except ModelError as error:
                errors.append(error)
                failed.append(failed_call(model, error, time.perf_counter() - start))
        raise self._all_failed(errors)

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Stream the answer of the first model that gives a first piece; errors as in `reply`, or as they come."""
        failed: list[Call] = []
        errors: list[ModelError] = []
        for model in self.models:
            start, shown = time.perf_counter(), False
            try:
                async with aclosing(pieces_of(model, request)) as pieces:
                    async for delta in pieces:
                        if not is_shown(delta):
                            continue
                        shown = True
                        if delta.reply is not None:
                            whole = self._traced(delta.reply, model, failed)
                            yield dataclasses.replace(delta, reply=whole)
                        else:
                            yield delta
            except ModelError as error:
                if shown:
                    raise
                errors.append(error)
                failed.append(failed_call(model, error, time.perf_counter() - start))
                continue
            if shown:
                return
            none = ModelError(f"{model.name}: the stream ended without an answer")
            errors.append(none)
            failed.append(failed_call(model, none, time.perf_counter() - start))
        raise self._all_failed(errors)

    def _traced(self, reply: Reply, model: Model, failed: list[Call]) -> Reply:
        if not failed:
            return reply
        trace = Trace(tuple(failed)) + reply.trace
        return reply.with_(trace=trace + Trace(decisions=(Decision(self.name, f"fell back to {model.name}"),)))

    def _all_failed(self, errors: list[ModelError]) -> ModelError:
        if len(errors) == 1:
            return errors[0]
        said = "; ".join(str(error) for error in errors)
        message = f"{self.name}: each of {len(errors)} models failed: {said}"
        upstream = [error for error in errors if isinstance(error, UpstreamError)]
        if not upstream:
            return ModelError(message)
        waits = [error.retry_after for error in upstream if error.retry_after is not None]
        return UpstreamError(message, status=upstream[-1].status, retry_after=min(waits, default=None))
