"""A model kind of its own, which says what another model says and says it again; and a plug-in for answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Model, Reply, Request, WholeReplies
from pilotfish.repair import Context, Edit, Mended, Plugin, Span


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


@dataclass(frozen=True)
class Shout:
    """Puts a mark behind a word that shouts, without anything of the library's own ways."""

    name: str
    mark: str
    touch: frozenset[str] = frozenset()
    whole: bool = False

    def detect(self, text: str, context: Context) -> Sequence[Span]:
        """Return the word's places."""
        at = text.find("Damn")
        return [] if at < 0 else [Span(at, at + 4, "shout")]

    def mend(self, text: str, spans: Sequence[Span], context: Context) -> Mended:
        """Return the text with the marks."""
        edits = tuple(Edit(span.end, span.end, "", self.mark, span.kind) for span in spans)
        for edit in reversed(edits):
            text = text[: edit.start] + self.mark + text[edit.start :]
        return Mended(text, edits)


def build_shout(*, name: str, settings: dict[str, Any], part: Callable[[str], Any]) -> Plugin:
    """Return the plug-in that `use = "shout"` names."""
    if set(settings) != {"mark"}:
        raise ConfigError(f"the plug-in {name!r} takes a mark")
    return Shout(name, settings["mark"])
