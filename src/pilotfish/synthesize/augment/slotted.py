"""Rows with other names in their places: slots filled, entities swapped for others of their type, without a model.

Source: Ribeiro et al. 2020 (CheckList), section 3: templates with typed lists, and invariance to other names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.model import Reply, Request
from pilotfish.rows._row import Row
from pilotfish.synthesize.augment._article import takes_an
from pilotfish.synthesize.augment.drift import Drift
from pilotfish.synthesize.augment.varied import Varied
from pilotfish.synthesize.recipe import Prompt, Unread

__all__ = ["Slotted"]

Slot = tuple[str, str | int]  # a type, and the value that stands there or the place where none does
_ARTICLE = re.compile(r"\b(an?)(\s+)\Z", re.IGNORECASE)


class Slotted(Varied):
    """Makes children of rows by putting other values into their slots.

    A slot is `{city}` in a text, or any value of the list `city` that stands in it as whole words; the longest value
    counts where they overlap. A value that stands in a text twice gets the same new one twice; two values get two.
    "a" and "an" before a slot follow what comes into it.

    Args:
        rows: the parents, templates or plain rows.
        lists: type -> its values.
        columns: columns whose values stand in the rows' texts: they are lists, too, and a child's column holds the
            value that it got.
        settings: those of `Varied`.
    """

    name = "slotted"
    asks = False
    bounds = Drift(least=0.0, most=1.0)

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        lists: Mapping[str, Sequence[str]] | None = None,
        columns: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        super().__init__(rows, **settings)
        self.columns = list(columns)
        self.lists = {
            name: list(dict.fromkeys(str(value) for value in values)) for name, values in (lists or {}).items()
        }
        for column in columns:
            if column in (self.text, self.label, self.group) or column in self.lists:
                raise ConfigError(f"slots: {column!r} cannot be a column of values, too")
            self.lists[column] = list(dict.fromkeys(str(row[column]) for row in self._rows if row.get(column)))
        if not self.lists or not all(any(value.strip() for value in values) for values in self.lists.values()):
            raise ConfigError("slots need lists of values, or columns that hold some")
        self._type = {value: name for name, values in reversed(self.lists.items()) for value in values}
        longest = sorted(self._type, key=lambda value: (-len(value), value))
        values = "|".join(re.escape(value) for value in longest)
        names = "|".join(re.escape(name) for name in self.lists)
        self._slot = re.compile(rf"\{{(?P<name>{names})\}}|(?<!\w)(?P<value>{values})(?!\w)")

    def config(self) -> dict[str, Any]:
        """Return the settings; of the rows and the lists, how many."""
        return {**super().config(), "lists": {name: len(values) for name, values in self.lists.items()}}

    def _prompt(self, parent: int, child: int) -> Prompt:
        return Prompt(Request.of(self._rows[parent][self.text]), self._facts(parent, child))

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return a parent's child."""
        parent = self._rows[int(prompt.facts["parent"])]
        slots = [(found, self._key(found, parent)) for found in self._slot.finditer(parent[self.text])]
        random = self._random(int(prompt.facts["parent"]), int(prompt.facts["child"]))
        chosen = self._chosen([key for _, key in slots], random)
        if not chosen:
            return [Unread("no slot: nothing in it is a slot with another value", parent)]
        own = {column: chosen.get((column, str(parent.get(column)))) for column in self.columns}
        changed = {column: new for column, new in own.items() if new is not None}
        return [self._child(prompt, **{self.text: _filled(parent[self.text], slots, chosen), **changed})]

    def _key(self, found: re.Match[str], parent: Row) -> Slot:
        """Return the slot's type and what stands in it: each empty slot is its own, equal values are one."""
        if found["name"] is not None:
            return found["name"], found.start()
        value = found["value"]
        own = (column for column in self.columns if str(parent.get(column)) == value)
        return next(own, self._type[value]), value

    def _chosen(self, slots: Sequence[Slot], random: np.random.Generator) -> dict[Slot, str]:
        """Return the new value of each slot that gets one: none that stands there already, and none twice."""
        taken: dict[str, set[str]] = {name: set() for name, _ in slots}
        for name, old in slots:
            taken[name].add(str(old))
        chosen: dict[Slot, str] = {}
        for name, old in dict.fromkeys(slots):
            free = [value for value in self.lists[name] if value not in taken[name]]
            if not free and isinstance(old, int):
                free = self.lists[name]  # an empty slot must be filled
            if free:
                chosen[name, old] = free[int(random.integers(len(free)))]
                taken[name].add(chosen[name, old])
        return chosen


def _filled(text: str, slots: Sequence[tuple[re.Match[str], Slot]], chosen: Mapping[Slot, str]) -> str:
    parts: list[str] = []
    end = 0
    for found, key in slots:
        if key not in chosen:
            continue
        before = text[end : found.start()]
        article = _ARTICLE.search(before)
        if article:
            said = "an" if takes_an(chosen[key]) else "a"
            said = said.capitalize() if article[1][0].isupper() else said
            before = before[: article.start()] + said + article[2]
        parts += [before, chosen[key]]
        end = found.end()
    return "".join([*parts, text[end:]])
