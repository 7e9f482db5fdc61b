"""Rows said in a style: a named one, or one in the user's own words.

Source: Maini et al. 2024 (WRAP), section 3.1: a model rewrites what is there in some styles; it adds no facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.augment.drift import Drift
from pilotfish.synthesize.augment.varied import ASKING, Varied
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Prompt, Unread
from pilotfish.synthesize.templates import Template

__all__ = ["STYLES", "Restyled", "Reworded"]

STYLES = {
    "chat": "a quick message to a friend, typed on a phone",
    "formal": "a formal letter",
    "child": "a ten-year-old who speaks in plain words",
    "expert": "an expert who uses the terms of the field",
    "headline": "a headline of a newspaper",
    "spoken": "somebody who speaks and does not write: fillers, half sentences, what a transcript of it has",
    "learner": "somebody who is still learning the language, with simple grammar and a mistake or two",
}


class Reworded(Varied):
    """Has a model say rows in other words, each child in its own way.

    Args:
        rows: the parents.
        ways: name -> the way in words; the children of a parent go through them in turn.
        asking: how the model is asked.
        template: a name of ours, or a file.
        settings: those of `Varied`.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        ways: dict[str, str],
        asking: Asking = ASKING,
        template: str | Path,
        **settings: Any,
    ) -> None:
        if not ways or not all(way.strip() for way in ways.values()):
            raise ConfigError(f"{self.name}: say in which way, one or more")
        super().__init__(rows, **settings)
        self.ways, self.asking, self.template = ways, asking, Template(template)
        self._fields = Fields({self.text: "the same text, so rewritten"})

    def _prompt(self, parent: int, child: int) -> Prompt:
        row = self._rows[parent]
        names = list(self.ways)
        first = int(self._random(parent, 0).integers(len(names)))
        way = names[(first + child) % len(names)]
        text = self.template.fill(
            {
                "way": self.ways[way],
                "text": row[self.text],
                "label": None if self.label is None else row[self.label],
                "kind": self.label,
                "fields": self._fields.meanings,
            }
        )
        request = self._asked(self.asking, text, child, self._fields)
        return Prompt(request, self._facts(parent, child, way=way), self.template.version)

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the child of an answer."""
        return self._answered(prompt, reply, self._fields)


class Restyled(Reworded):
    """Has a model say rows in a style.

    Args:
        rows: the parents.
        styles: names of `STYLES`, or styles in words.
        settings: those of `Reworded` and `Varied`.
    """

    name = "restyled"
    bounds = Drift(least=0.02)

    def __init__(
        self, rows: Sequence[Row], *, styles: Sequence[str], template: str | Path = "augment_restyled", **settings: Any
    ) -> None:
        ways = {style: STYLES.get(style, style) for style in styles}
        super().__init__(rows, ways=ways, template=template, **settings)
