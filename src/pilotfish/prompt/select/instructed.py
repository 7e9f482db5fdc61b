"""A model that is given an instruction with each request: the way in for one that was chosen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.model import Delta, Message, Model, Reply, Request
from pilotfish.models.choosing import chooses
from pilotfish.prompt._white import WhiteFace
from pilotfish.rows.model_stage import Template

__all__ = ["Instructed", "instructed", "placed"]


def placed(instruction: str, template: str | None, request: Request) -> Request:
    """Return a request with an instruction in it; see `Instructed`."""
    if not instruction.strip():
        return request
    if template is not None:
        return request.with_prompt(Template(template).fill({"instruction": instruction, "prompt": request.prompt}))
    first = request.messages[0] if request.messages else None
    if first is not None and first.role in ("system", "developer"):
        whole = Message(first.role, f"{instruction}\n\n{first.text}", first.name)
        return request.with_(messages=(whole, *request.messages[1:]))
    return request.with_(messages=(Message("system", instruction), *request.messages))


@dataclass(frozen=True)
class Instructed:
    """A model with an instruction before each question.

    Attributes:
        model: answers.
        instruction: what it is told; nothing changes nothing.
        template: where it stands in the last user turn, with {instruction} and {prompt}; None makes it the system's
            words, in front of those that the request has.
        name: in traces.

    Raises:
        ConfigError: a template without its places.
    """

    model: Model
    instruction: str
    template: str | None = None
    name: str = "instructed"

    def __post_init__(self) -> None:
        if self.template is not None and set(Template(self.template).columns) != {"instruction", "prompt"}:
            raise ConfigError(f"{self.name}: the template has {{instruction}} and {{prompt}}, and no other place")

    async def reply(self, request: Request) -> Reply:
        """Answer as instructed."""
        return await self.model.reply(self.shown(request))

    def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Answer as instructed, piece by piece."""
        return self.model.stream(self.shown(request))

    def shown(self, request: Request) -> Request:
        """Return the request with the instruction in it."""
        return placed(self.instruction, self.template, request)


class _WhiteInstructed(WhiteFace, Instructed):
    """The same over a model whose probabilities are here."""

    shown = Instructed.shown


def instructed(model: Model, instruction: str, template: str | None = None, name: str = "instructed") -> Instructed:
    """Return a model with an instruction; of one that tells probabilities, one that does too."""
    return (_WhiteInstructed if chooses(model) else Instructed)(model, instruction, template, name)
