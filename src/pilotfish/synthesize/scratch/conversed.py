"""Conversations between a user and an assistant, by personas and attributes; one row is a chat.

Source: Ding et al. 2023 (UltraChat), section 3; Ge et al. 2024 (Persona Hub), personas as the source of diversity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.fields import object_in
from pilotfish.synthesize.recipe import Made, Prompt, Recipe, Unread
from pilotfish.synthesize.scratch._turns import turns, values_of
from pilotfish.synthesize.templates import Template

__all__ = ["Conversed"]

ASKING = Asking(max_tokens=1024)


class Conversed(Recipe):
    """Writes chats whose turns alternate, the user first.

    Args:
        task: what they are about, in words.
        messages: how many messages a chat has; one of these for each.
        personas: who the user is; each in turn. None for nobody in particular.
        assistant: who answers, in words.
        attributes: name -> values, each in turn.
        asking: how the model is asked.
        template: a name of ours, or a file.
    """

    name = "conversed"

    def __init__(
        self,
        task: str,
        *,
        messages: Sequence[int] = (4,),
        personas: Sequence[str] = (),
        assistant: str | None = None,
        attributes: Mapping[str, Sequence[str]] | None = None,
        asking: Asking = ASKING,
        template: str | Path = "conversed",
    ) -> None:
        if not messages or min(messages) < 2:
            raise ConfigError(f"a conversation has 2 messages or more, not {list(messages)}")
        self.task, self.messages, self.assistant, self.asking = task, list(messages), assistant, asking
        self.personas = [str(one) for one in personas]
        self.attributes = values_of(attributes or {})
        self.template = Template(template)

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return a prompt for each chat that is missing."""
        short = made.short()
        count = round(short / made.kept_a_prompt)
        random = np.random.default_rng([made.seed, made.round])
        drawn = turns(self.attributes, count, random)
        people = turns({"persona": self.personas}, count, random) if self.personas else [{}] * count
        found = []
        for number, (attributes, who) in enumerate(zip(drawn, people, strict=True)):
            length = self.messages[int(random.integers(len(self.messages)))]
            places = {
                "task": self.task,
                "persona": who.get("persona"),
                "assistant": self.assistant,
                "attributes": attributes,
                "turns": length,
            }
            request = self.asking.request(self.template.fill(places), made, number, _schema(length))
            facts = {"attributes": attributes, **who, "messages": length}
            found.append(Prompt(request, facts, self.template.version))
        return found

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the chat of an answer.

        Raises:
            DataError: there is none, its turns do not alternate, or a message is empty.
        """
        try:
            told = object_in(reply.text)
            messages = [{"role": str(one["role"]), "content": str(one["content"]).strip()} for one in told["messages"]]
        except (DataError, KeyError, TypeError):
            raise DataError("no conversation in the answer") from None
        wanted = ["user" if i % 2 == 0 else "assistant" for i in range(len(messages))]
        if len(messages) < 2 or [one["role"] for one in messages] != wanted:
            raise DataError("the turns do not alternate, the user first")
        if not all(one["content"] for one in messages):
            raise DataError("an empty message")
        return [{"messages": messages}]


def _schema(length: int) -> dict[str, Any]:
    def message(role: str) -> dict[str, Any]:
        properties = {"role": {"const": role}, "content": {"type": "string", "minLength": 1}}
        return {"type": "object", "properties": properties, "required": ["role", "content"]}

    items = [message("user" if i % 2 == 0 else "assistant") for i in range(length)]
    messages = {"type": "array", "prefixItems": items, "items": False, "minItems": length, "maxItems": length}
    schema = {"type": "object", "properties": {"messages": messages}, "required": ["messages"]}
    return {"type": "json_schema", "json_schema": {"name": "conversation", "schema": schema}}
