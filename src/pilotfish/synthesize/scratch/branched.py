"""A tree of topics or personas, grown from a root: its leaves are attributes that other recipes draw from.

Source: Ding et al. 2023 (UltraChat), section 3, topics and subtopics; Ge et al. 2024 (Persona Hub), personas.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.fields import object_in
from pilotfish.synthesize.recipe import Made, Prompt, Recipe, Unread
from pilotfish.synthesize.templates import Template

__all__ = ["Branched"]

ASKING = Asking()


class Branched(Recipe):
    """Names what a root divides into, level by level; a kept row is a node {name, path, depth}.

    Args:
        task: what the tree is of, in words: "Topics that a bank's customers write about."
        branches: how many names each node of a level gets, a number a level.
        kind: what a name is, in the plural: "topics", "people", "situations".
        asking: how the model is asked.
        template: a name of ours, or a file.
    """

    name = "branched"

    def __init__(
        self,
        task: str,
        branches: Sequence[int],
        *,
        kind: str = "topics",
        asking: Asking = ASKING,
        template: str | Path = "branched",
    ) -> None:
        if not branches or min(branches) < 1:
            raise ConfigError(f"a tree needs a number of branches for each level, 1 or more, not {list(branches)}")
        self.task, self.branches, self.kind, self.asking = task, list(branches), kind, asking
        self.template = Template(template)

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return a prompt for each node of the last level."""
        depth = made.round
        if depth >= len(self.branches):
            return []
        nodes: list[list[str]] = [[]] if not depth else [row["path"] for row in made.rows if row["depth"] == depth]
        count = self.branches[depth]
        names = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": count, "maxItems": count}
        schema = {"type": "object", "properties": {"names": names}, "required": ["names"]}
        held = {"type": "json_schema", "json_schema": {"name": "names", "schema": schema}}
        found = []
        for number, path in enumerate(nodes):
            places = {"task": self.task, "path": path, "count": count, "kind": self.kind, "known": []}
            request = self.asking.request(self.template.fill(places), made, number, held)
            found.append(Prompt(request, {"path": path}, self.template.version))
        return found

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the names of an answer as nodes; one that stands there twice is told.

        Raises:
            DataError: no names in it.
        """
        try:
            names = object_in(reply.text)["names"]
        except (DataError, KeyError):
            raise DataError("no names in the answer") from None
        path = list(prompt.facts["path"])
        seen = {part.casefold() for part in path}
        for name in names if isinstance(names, list) else []:
            bare = " ".join(name.split()) if isinstance(name, str) else ""
            if not bare:
                yield Unread("no name", json.dumps(name, ensure_ascii=False))
            elif bare.casefold() in seen:
                yield Unread(f"named twice: {bare}", bare)
            else:
                seen.add(bare.casefold())
                yield {"name": bare, "path": [*path, bare], "depth": len(path) + 1}
