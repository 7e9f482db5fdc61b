"""A model in front of which a small retriever puts solved examples.

Sources: Brown et al. 2020 (in-context learning); Liu et al. 2022 (examples by similarity); Rubin et al. 2022 (EPR) and
Cheng et al. 2023 (UPRISE), retrievers that learn which examples help (`pilotfish.prompt.demonstrate.teach`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Call, Delta, Model, Reply, Request, Trace
from pilotfish.models.choosing import chooses
from pilotfish.models.counting import counter
from pilotfish.prompt._white import WhiteFace
from pilotfish.prompt.demonstrate.choose import Chooser, Chosen
from pilotfish.prompt.demonstrate.show import Form

__all__ = ["Demonstrated", "demonstrated"]


@dataclass(frozen=True)
class Demonstrated:
    """A model that is shown solved examples before each question.

    The question is the last user turn. The trace has the retriever as a call, and how many examples were shown.

    Attributes:
        chooser: chooses them.
        model: answers.
        form: how they are shown.
        budget: tokens that the demonstrations may take, by the model's own tokenizer where it is here (with what its
            template puts around turns), else by a guess that errs high; None for no limit. What does not fit is left
            out, the one that was taken last first.
        name: in traces.

    Raises:
        ConfigError: a budget below 1.
    """

    chooser: Chooser
    model: Model
    form: Form = field(default_factory=Form)
    budget: int | None = 1500
    name: str = "demonstrated"

    def __post_init__(self) -> None:
        if self.budget is not None and self.budget < 1:
            raise ConfigError(f"{self.name}: the budget is at least one token, not {self.budget}")

    async def reply(self, request: Request) -> Reply:
        """Choose demonstrations, and answer."""
        shown, trace, word, score = await asyncio.to_thread(self._shown, request)
        said = await self.model.reply(shown)
        return said.with_(trace=trace + said.trace).decided(self.name, word, score)

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Choose before the first byte; then the model streams."""
        shown, trace, word, score = await asyncio.to_thread(self._shown, request)
        async for delta in self.model.stream(shown):
            if delta.reply is None:
                yield delta
            else:
                whole = delta.reply.with_(trace=trace + delta.reply.trace)
                yield replace(delta, reply=whole.decided(self.name, word, score))

    def shown(self, request: Request) -> Request:
        """Return the request with its demonstrations in it."""
        return self._shown(request)[0]

    def _shown(self, request: Request) -> tuple[Request, Trace, str, float | None]:
        text = self.form.asked(request.prompt)
        if not text.strip():
            return request, Trace(), "nothing to look for", None
        started = time.perf_counter()
        (chosen,) = self.chooser.choose([text])
        found, places = self._fitted(request, chosen)
        seconds = time.perf_counter() - started
        finder = self.chooser.finder
        why = f"{len(places)} of {len(finder.pool):,} demonstrations"
        trace = Trace((Call(finder.name, "demonstrations", seconds=seconds, why=why),))
        left = len(chosen.places) - len(places)
        word = f"{len(places)} demonstrations" + (f", {left} left out by the budget" if left else "")
        return found, trace, word, max(chosen.scores) if chosen.scores else None

    def _fitted(self, request: Request, chosen: Chosen) -> tuple[Request, tuple[int, ...]]:
        """Return the request with as many demonstrations as fit, and their places in the pool."""
        kept = len(chosen.places)
        size = self._size(request)
        alone = size(request) if self.budget is not None and kept else 0
        while True:
            places = chosen.places[:kept]
            ordered = self.chooser.ordered(places, chosen.scores[:kept])
            found = self.form.shown(request, [self.chooser.pool.demonstrations[place] for place in ordered])
            if self.budget is None or not kept or size(found) - alone <= self.budget:
                return found, places
            kept -= 1

    def _size(self, request: Request) -> Callable[[Request], int]:
        count = counter(self.model)
        render: Any = getattr(self.model, "render", None)
        if callable(render) and callable(getattr(self.model, "count", None)):
            return lambda one: count(render(one))
        return lambda one: sum(count(message.text) for message in one.messages)


class _WhiteDemonstrated(WhiteFace, Demonstrated):
    """The same over a model whose probabilities are here, so that it is a labeller's model as well."""

    shown = Demonstrated.shown


def demonstrated(
    chooser: Chooser,
    model: Model,
    form: Form | None = None,
    *,
    budget: int | None = 1500,
    name: str = "demonstrated",
) -> Demonstrated:
    """Return a model with demonstrations before each question; of one that tells probabilities, one that does too.

    So a labeller (`pilotfish.models.classify.Labeller`) goes around either.
    """
    kind = _WhiteDemonstrated if chooses(model) else Demonstrated
    return kind(chooser, model, form or Form(), budget, name)
