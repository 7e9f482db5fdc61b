"""Easy mentions to the small linker, hard ones to a large model: a collaboration that is a model.

Source: after Li et al. 2025 (ARTER: Adaptive Routing and Targeted Entity Reasoning): candidates, signals over them, a
route by the signals, and a large model over a few candidates where it is hard. Here the route is the learnt probability
that the small linker's decision is right, against a threshold that is chosen for an accuracy (`SplitTrial.reaching`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pilotfish.compete.entities.choice import LETTERS, QUESTION, question, read
from pilotfish.compete.entities.entity import Entity
from pilotfish.compete.entities.linked import Linked
from pilotfish.compete.entities.linker import Linker
from pilotfish.compete.entities.mention import Mention, marked
from pilotfish.compete.entities.spots import spotted
from pilotfish.errors import ConfigError
from pilotfish.model import Model, Reply, Request, Trace, WholeReplies
from pilotfish.models.choosing import Choosing, chooses

__all__ = ["Decided", "LinkedModel"]

By = Literal["linker", "large", "unread"]


@dataclass(frozen=True, eq=False)
class Decided:
    """What a mention is of, and who decided.

    Attributes:
        linked: what the small linker made of it.
        entity: what was decided; None is NIL.
        by: "linker"; "large"; or "unread": the large model's answer named no candidate, and the linker's holds.
        trace: all that was asked.
    """

    linked: Linked
    entity: Entity | None
    by: By
    trace: Trace

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        mention = self.linked.mention
        return {
            "start": mention.start,
            "end": mention.end,
            "mention": mention.surface,
            "id": None if self.entity is None else self.entity.id,
            "name": None if self.entity is None else self.entity.name,
            "ease": round(self.linked.ease, 6),
            "by": self.by,
        }


class LinkedModel(WholeReplies):
    """A model that answers a text with the entities that it speaks of, as JSON: {"text": …, "entities": […]}.

    Mentions are marked in the last user turn, `[[Paris]]` or `[[Paris|city]]`; where none is, those are taken that are
    names of the base. Without a large model the linker decides all. The whole trace is kept: the linker's models, the
    large model's calls, a decision for each mention.

    Args:
        linker: the small one.
        large: asked about hard mentions: any model; one whose weights are here chooses among the letters.
        above: decisions at least so easy are the linker's.
        shown: how many candidates the large model sees.
        prompt: what it is asked, with the places {text}, {mention} and {choices}.
        concurrency: mentions that the large model is asked about at once.
        name: what traces show.

    Raises:
        ConfigError: a prompt without its places, or a number out of range.
    """

    def __init__(
        self,
        linker: Linker,
        large: Model | None = None,
        *,
        above: float = 0.8,
        shown: int = 5,
        prompt: str = QUESTION,
        concurrency: int = 8,
        name: str = "linked",
    ) -> None:
        if lacking := [place for place in ("{text}", "{mention}", "{choices}") if place not in prompt]:
            raise ConfigError(f"{name}: the prompt lacks the place {lacking[0]}")
        if not 1 <= shown < len(LETTERS) or concurrency < 1:
            raise ConfigError(f"{name}: 1 to {len(LETTERS) - 1} candidates are shown, and concurrency is 1 or more")
        self.linker, self.above, self.shown, self.prompt, self.name = linker, above, shown, prompt, name
        self.concurrency = concurrency
        self.choosing = large is not None and chooses(large)
        self.large: Model | None = Choosing(large) if large is not None and self.choosing else large

    async def reply(self, request: Request) -> Reply:
        """Answer with the entities of the text.

        Raises:
            ModelError: the large model cannot answer.
            UpstreamError: its endpoint failed.
        """
        text, mentions = marked(request.prompt)
        if not mentions:
            mentions = spotted(text, self.linker.base.names.known())
        decided = await self.link(mentions)
        told = {"text": text, "entities": [one.to_json() for one in decided]}
        reply = Reply(json.dumps(told, ensure_ascii=False))
        for one in decided:
            what = {"linker": "easy", "large": "hard", "unread": "hard, no answer"}[one.by]
            threshold = None if self.large is None else self.above
            reply = reply.with_(trace=reply.trace + one.trace)
            reply = reply.decided(self.name, what, one.linked.ease, threshold)
        return reply

    async def link(self, mentions: Sequence[Mention]) -> list[Decided]:
        """Return what each mention is of; the large model is asked about the hard ones."""
        # Encoders take milliseconds; other requests go on meanwhile.
        linked = await asyncio.to_thread(self.linker.link, mentions)
        room = asyncio.Semaphore(self.concurrency)

        async def decided(one: Linked) -> Decided:
            if self.large is None or one.ease >= self.above or not one.candidates:
                return Decided(one, one.entity, "linker", one.trace)
            async with room:
                return await self.asked(one)

        return list(await asyncio.gather(*map(decided, linked)))

    async def asked(self, one: Linked) -> Decided:
        """Return what the large model says of a mention; where its answer names no candidate, the linker's decision.

        Raises:
            ConfigError: there is no large model.
        """
        if self.large is None:
            raise ConfigError(f"{self.name}: it has no large model to ask")
        reply = await self.large.reply(question(one, self.shown, self.prompt, choosing=self.choosing))
        candidates = one.candidates[: self.shown]
        place = read(reply.text, len(candidates))
        trace = one.trace + reply.trace
        if place is None:
            return Decided(one, one.entity, "unread", trace)
        return Decided(one, candidates[place] if place < len(candidates) else None, "large", trace)
