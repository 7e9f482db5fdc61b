"""Counterfactual rows: the smallest edit that gives a row another label.

Source: Kaushik, Hovy and Lipton 2020 (counterfactually-augmented data): people were asked to make no more changes than
the new label needs; here a model is, and the share of words that it edited is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.augment._edits import edited_share
from pilotfish.synthesize.augment.drift import Drift
from pilotfish.synthesize.augment.varied import ASKING, Varied
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Prompt, Unread
from pilotfish.synthesize.templates import Template

__all__ = ["Flipped"]


class Flipped(Varied):
    """Has a model edit rows until they have another label, which the child's label column then holds.

    Args:
        rows: the parents.
        text: the column that is edited.
        label: the label's column.
        labels: those that a row may get, or label -> its meaning; None for those of the rows.
        to: label -> the labels that its rows may get; None for all others. Rows of a label that it lacks are left out.
        edited: the greatest share of a row's words that may be edited.
        asking: how the model is asked.
        template: a name of ours, or a file.
        settings: those of `Varied`.
    """

    name = "flipped"
    bounds = Drift(least=0.0, most=1.0)  # near its parent is where a counterfactual should be

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        text: str = "text",
        label: str,
        labels: Sequence[str] | Mapping[str, str] | None = None,
        to: Mapping[str, Sequence[str]] | None = None,
        edited: float = 0.5,
        asking: Asking = ASKING,
        template: str | Path = "augment_flipped",
        **settings: Any,
    ) -> None:
        if not 0 < edited <= 1:
            raise ConfigError(f"edited is a share of the words, above 0 and 1 at most, not {edited}")
        chosen = [row for row in rows if to is None or str(row.get(label)) in to]
        super().__init__(chosen, text=text, label=label, **settings)
        own = list(dict.fromkeys(str(row[label]) for row in self._rows))
        self._known = [(str(row[text]), str(row[label])) for row in rows if row.get(label) not in (None, "")]
        given = list(dict.fromkeys(one for _, one in self._known)) if labels is None else list(labels)
        self.labels = dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(given, "")
        self.to = {one: list(to[one] if to is not None else (name for name in given if name != one)) for one in own}
        for one, targets in self.to.items():
            if not targets or one in targets or any(target not in self.labels for target in targets):
                raise ConfigError(f"rows of {one!r} need another label to get, of {', '.join(self.labels)}")
        self.edited, self.asking, self.template = edited, asking, Template(template)
        self._fields = Fields({self.text: "the edited text"})

    def _begin(self, seed: int = 0) -> None:
        super()._begin(seed)
        self._shares: list[float] = []

    def _prompt(self, parent: int, child: int) -> Prompt:
        row = self._rows[parent]
        label = str(row[str(self.label)])
        targets = self.to[label]
        first = int(self._random(parent, 0).integers(len(targets)))
        target = targets[(first + child) % len(targets)]
        text = self.template.fill(
            {
                "text": row[self.text],
                "kind": self.label,
                "label": label,
                "meaning": self.labels.get(label, ""),
                "target": target,
                "target_meaning": self.labels[target],
                "fields": self._fields.meanings,
            }
        )
        request = self._asked(self.asking, text, child, self._fields)
        facts = self._facts(parent, child, **{"from": label, "to": target})
        return Prompt(request, facts, self.template.version)

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the child of an answer, unless too much of it is new."""
        for one in self._answered(prompt, reply, self._fields):
            if isinstance(one, Unread):
                yield one
                continue
            child = {**one, str(self.label): prompt.facts["to"]}
            share = edited_share(self._compared(prompt), child[self.text])
            if share > self.edited:
                yield Unread(f"not minimal: {share:.2f} of its words are edited", child)
                continue
            if share:
                self._shares.append(share)
            yield child

    def labelled(self) -> list[tuple[str, str]]:
        """Return (text, label) of all rows: those of labels that are not flipped teach, too."""
        return self._known

    def findings(self) -> dict[str, Any]:
        """Return how near the children are to their parents, and what share of the words was edited."""
        share = round(float(np.mean(self._shares)), 4) if self._shares else None
        return {**super().findings(), "edited": share}
