"""A model whose weights are here, asked for the probability of each of a few answers; what waits goes in one pass."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Call, Model, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models.classify.labeller import Chooser, Labeller

__all__ = ["CHOICES", "Choosing", "chooses"]

CHOICES = "choices"  # the field of a request that lists the answers


def chooses(model: Model) -> bool:
    """Say whether a model tells the probability of answers; its weights are not loaded for that."""
    return Labeller(model, ("yes", "no")).white_box


class Choosing(WholeReplies):
    """Answers with the likeliest of `request.extra["choices"]`; its log-probabilities hold those of all of them.

    They are normalised over the choices. A request that the model has no room for is a ModelError, and never cut.

    Args:
        model: one with `choices` (a `LocalModel`).
        batch: the most requests in one pass.

    Raises:
        ConfigError: the model has no probabilities to give.
    """

    def __init__(self, model: Model, batch: int = 32) -> None:
        if not chooses(model):
            raise ConfigError(f"{model.name}: it does not tell the probability of answers; ask it for an answer")
        assert isinstance(model, Chooser)
        self.model: Chooser = model
        self.name, self.concurrency = model.name, batch
        self._waiting: list[tuple[Request, asyncio.Future[Reply]]] = []
        self._worker: asyncio.Task[None] | None = None

    @property
    def identity(self) -> str:
        """What tells its answers from another's: the model's own, so that other weights are asked anew."""
        return str(getattr(self.model, "identity", self.name))

    async def reply(self, request: Request) -> Reply:
        """Return the likeliest choice.

        Raises:
            ConfigError: the request lists no choices.
            ModelError: the request is too long.
        """
        if not request.extra.get(CHOICES):
            raise ConfigError("a request to choose lists its choices")
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        return await future

    async def _work(self) -> None:
        await asyncio.sleep(0)  # all who are about to ask have then asked
        while self._waiting:
            choices = tuple(self._waiting[0][0].extra[CHOICES])
            batch = [one for one in self._waiting if tuple(one[0].extra[CHOICES]) == choices][: self.concurrency]
            self._waiting = [one for one in self._waiting if all(one is not other for other in batch)]
            try:
                found = await asyncio.to_thread(self._chosen, [request for request, _ in batch], choices)
            except Exception as error:  # whatever it is, it is for those who ask
                found = [error] * len(batch)
            for (_, future), one in zip(batch, found, strict=True):
                if future.done():
                    continue  # who asked has gone
                if isinstance(one, Exception):
                    future.set_exception(one)
                else:
                    future.set_result(one)

    def _chosen(self, requests: Sequence[Request], choices: Sequence[str]) -> list[Reply | Exception]:
        model = self.model
        room = model.max_length - max(model.count(choice) for choice in choices) - 2
        contexts = [model.render(request) for request in requests]
        lengths = [model.count(context) for context in contexts]
        fitting = [i for i, length in enumerate(lengths) if length <= room]
        found: list[Reply | Exception] = [
            ModelError(f"too long: {length:,} tokens where {model.name} has room for {room:,}") for length in lengths
        ]
        if not fitting:
            return found
        raw = model.choices([contexts[i] for i in fitting], list(choices))
        raw = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
        for i, row in zip(fitting, raw, strict=True):
            order = np.argsort(-row, kind="stable")
            ranked = tuple((choices[j], float(row[j])) for j in order)
            trace = Trace((Call(model.name, "labeller", lengths[i], 0),))
            found[i] = Reply(ranked[0][0], logprobs=(TokenLogprob(*ranked[0], ranked),), trace=trace)
        return found
