"""Two instructions joined into one that asks for both.

Source: Guo et al. 2023 (Instruction Fusion): a new task made of two is harder than either, and lies between them.

A child of two parents ties their groups together, and so on from pair to pair until all rows are one group. So pairs
are drawn within pools of a few rows only, and a pool is a group: whole pools go to one part of a split.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.augment.drift import Drift, jaccards
from pilotfish.synthesize.augment.varied import Varied
from pilotfish.synthesize.recipe import Prompt, Unread
from pilotfish.synthesize.scratch.instructed import FIELDS
from pilotfish.synthesize.templates import Template

__all__ = ["Mixed"]

ASKING = Asking(max_tokens=1024)
_TOLD = re.compile(r"\b(?:both|two|given|original|first|second) tasks?\b|\btask [12]\b", re.IGNORECASE)


class Mixed(Varied):
    """Has a model join tasks by twos, and do what comes of it.

    Args:
        rows: the parents, with `instruction`, and `input` where they have one.
        pool: rows among which pairs are drawn; more of them are more pairs, and larger groups.
        asking: how the model is asked.
        template: a name of ours, or a file.
        settings: `each`, `group` and `drift`, as of `Varied`.
    """

    name = "mixed"
    bounds = Drift(least=0.02, most=0.9)

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        pool: int = 4,
        asking: Asking = ASKING,
        template: str | Path = "augment_mixed",
        **settings: Any,
    ) -> None:
        if pool < 2:
            raise ConfigError(f"a pool has 2 rows or more, not {pool}")
        super().__init__(rows, text="instruction", **settings)
        if len(set(self._groups)) < 2:
            raise ConfigError("mixing needs two different tasks or more")
        self.pool, self.asking, self.template = pool, asking, Template(template)
        self._own = self._groups
        self._groups = _pooled(self._own, pool)
        self._members: dict[str, list[int]] = {}
        for i, group in enumerate(self._groups):
            self._members.setdefault(group, []).append(i)
        self._begin()

    def _prompt(self, parent: int, child: int) -> Prompt:
        own = self._own[parent]
        others = [i for i in self._members[self._groups[parent]] if self._own[i] != own]
        order = self._random(parent, 0).permutation(len(others))
        other = others[int(order[child % len(others)])]
        tasks = [
            {"instruction": self._rows[i][self.text], "input": self._rows[i].get("input") or ""}
            for i in (parent, other)
        ]
        text = self.template.fill({"tasks": tasks, "fields": FIELDS.meanings})
        request = self._asked(self.asking, text, child, FIELDS)
        return Prompt(request, self._facts(parent, child, other=other), self.template.version)

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the task of an answer, unless it is one of the two, or speaks of them."""
        other = self._rows[int(prompt.facts["other"])][self.text]
        for one in FIELDS.read(reply.text):
            if isinstance(one, Unread):
                yield one
            elif jaccards([other], [one["instruction"]])[0] > self.drift.most:
                yield Unread("a copy: of the other task", one)
            elif _TOLD.search(one["instruction"]) and not _TOLD.search(other + self._compared(prompt)):
                yield Unread("not joined: it speaks of the tasks it came from", one)
            else:
                yield self._child(prompt, **one)


def _pooled(groups: Sequence[str], size: int) -> list[str]:
    """Return the pool of each row: groups in the order of their names, which are hashes, and so as good as drawn."""
    names = sorted(set(groups))
    cuts = list(range(0, len(names), size))
    if len(names) - cuts[-1] < 2 and len(cuts) > 1:
        cuts.pop()  # a row alone has nobody to be mixed with
    pool: dict[str, str] = {}
    for start, end in zip(cuts, [*cuts[1:], len(names)], strict=True):
        told = hashlib.sha256("\n".join(names[start:end]).encode()).hexdigest()[:12]
        pool |= dict.fromkeys(names[start:end], told)
    return [pool[group] for group in groups]
