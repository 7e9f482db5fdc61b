"""A model kind of its own: says what another model says, and says it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Model, Reply, Request, WholeReplies


@dataclass(frozen=True)
class Parrot(WholeReplies):
    """Repeats the answer of `of`."""

    name: str
    of: Model
    times: int

    async def reply(self, request: Request) -> Reply:
        """Return the answer, repeated."""
        reply = await self.of.reply(request)
        return reply.with_(text=" ".join([reply.text] * self.times)).decided(self.name, "repeated")


def build(*, name: str, settings: dict[str, Any], part: Callable[[str], Any]) -> Model:
    """Return the model that a table with `use = "parrot"` describes."""
    if "of" not in settings:
        raise ConfigError(f"[models.{name}]: a parrot needs `of`")
    return Parrot(name, part(settings["of"]), settings.get("times", 2))
