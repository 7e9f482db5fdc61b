"""Model routing: one model is chosen before any is asked.

Source: Ong et al. 2024 (RouteLLM), section 3; Hu et al. 2024 (RouterBench), section 3, for more than two models.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.model import Delta, Model, Reply, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pilotfish.infer.routing import Objective, Router

__all__ = ["Route"]


@dataclass(eq=False)
class Route:
    """A model that asks the one of `models` that a router foretells to be worth it.

    A conversation stays with the model that began it, however it goes on: switching would answer half of it in another
    voice and lose the provider's prompt cache. A conversation is known by `metadata["conversation"]` where the caller
    gives it, else by its messages up to the first of the user's.

    Attributes:
        models: by name; the router must know each, or have learned it since.
        router: fitted.
        objective: what to choose by; the foretold quality of the chosen model is the decision's score.
        name: what traces show.
        sticky: how many conversations are remembered, the latest used; 0 decides each request anew.
    """

    models: Mapping[str, Model]
    router: Router
    objective: Objective
    name: str = "route"
    sticky: int = 10_000
    _kept: OrderedDict[str, str] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("a route needs models")
        for name in self.models:
            if name not in self.router.models_:
                known = did_you_mean(name, self.router.models_)
                raise ConfigError(
                    f"the router has not learned {name!r}{known}; it knows {', '.join(self.router.models_)}: "
                    f"fit it on outcomes of this model too"
                )
        if self.sticky < 0:
            raise ConfigError(f"sticky is a number of conversations, 0 or more, not {self.sticky}")

    async def reply(self, request: Request) -> Reply:
        """Choose, and ask the chosen model."""
        chosen, verdict, score = await self._choose(request)
        return (await self.models[chosen].reply(request)).decided(self.name, verdict, score)

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Choose, and pass the chosen model's stream on."""
        chosen, verdict, score = await self._choose(request)
        async for delta in self.models[chosen].stream(request):
            yield (
                delta
                if delta.reply is None
                else Delta(delta.text, delta.tool_calls, delta.reply.decided(self.name, verdict, score))
            )

    async def _choose(self, request: Request) -> tuple[str, str, float | None]:
        """Return the model, the decision's words, and the quality foretold of it."""
        key = _conversation(request) if self.sticky else ""
        if self.sticky:
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None:
                    self._kept.move_to_end(key)
            if kept is not None:
                return kept, f"kept {kept}", None
        # The encoder takes milliseconds; other requests go on meanwhile.
        chosen, score = await asyncio.to_thread(self.decide, request)
        if self.sticky:
            with self._lock:
                self._kept[key] = chosen
                while len(self._kept) > self.sticky:
                    self._kept.popitem(last=False)
        return chosen, f"chose {chosen}", score

    def decide(self, request: Request) -> tuple[str, float]:
        """Return the model that the router chooses for a request, and the quality it foretells."""
        quality, columns = self.decide_all([text_of(request)])
        at = int(columns[0])
        return list(self.models)[at], float(quality[0, at])

    def decide_all(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return (texts, models) the quality foretold of each model, and (texts,) the place of the one chosen."""
        forecast = self.router.predict(texts)
        places = [forecast.models.index(name) for name in self.models]
        quality = forecast.quality[:, places]
        return quality, self.objective.choose(quality, forecast.cost[:, places])


def text_of(request: Request) -> str:
    """Return what a router looks at: the text of the last user turn."""
    return request.prompt


def _conversation(request: Request) -> str:
    given = request.metadata.get("conversation")
    if given is not None:
        return f"given:{given}"
    start = []
    for message in request.messages:
        start.append(message.to_json())
        if message.role == "user":
            break
    return hashlib.sha256(json.dumps(start, sort_keys=True).encode()).hexdigest()
