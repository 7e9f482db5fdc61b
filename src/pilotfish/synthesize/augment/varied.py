"""What every augmentation shares: parents, children with their parent's columns and group, and how far they drift.

A child and its parent have the same value in the column `parent`. Split by it (`split(rows, group="parent")`,
`pilotfish rows split --group parent`), and no paraphrase of a training row is in the test set; `parents.jsonl` has the
parents with that column. It goes by the parent's text alone, so it is the same in every run, whatever the order of the
rows is; a row that has the column already, as a child of an earlier augmentation does, hands it on.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Reply, Request
from pilotfish.models.calls import Failure
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows._shingles import normalised
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.augment.drift import Drift, Drifted
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Made, Prompt, Recipe, Unread

__all__ = ["ASKING", "GROUP", "PARENTS", "Varied", "group_of"]

GROUP = "parent"
PARENTS = "parents.jsonl"
ASKING = Asking(temperatures=(0.7,), max_tokens=256)


def group_of(row: Row, text: str = "text", group: str = GROUP) -> str:
    """Return what a row and its children share: what the column holds, else the beginning of its text's hash.

    Texts that differ in case and punctuation only are of one group.
    """
    if row.get(group) not in (None, ""):
        return str(row[group])
    return hashlib.sha256(normalised(str(row.get(text) or "")).encode("utf-8", "surrogatepass")).hexdigest()[:12]


class Varied(Recipe):
    """Makes children of rows.

    Args:
        rows: the parents.
        text: the column that is varied; all others a child has from its parent.
        label: the column whose value a child is to keep; shown to the model.
        each: children tried of each parent; fewer where fewer rows are wanted.
        group: the column that a parent and its children share a value in.
        drift: how far children may be from their parents; None for the recipe's own bounds.

    Raises:
        ConfigError: a setting is wrong.
        DataError: no rows, a row without the column, or without a text in it.
    """

    bounds = Drift()
    questions = False  # whether the child of a question has to be one

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        text: str = "text",
        label: str | None = None,
        each: int = 1,
        group: str = GROUP,
        drift: Drift | None = None,
    ) -> None:
        if not rows:
            raise DataError("no rows to vary")
        if each < 1:
            raise ConfigError(f"each is 1 or more, not {each}")
        if group in (text, label):
            raise ConfigError(f"the group needs a column of its own, not {group!r}")
        for number, row in enumerate(rows):
            need_columns(row, *(column for column in (text, label) if column), source=f"row {number}")
            if not isinstance(row[text], str) or not row[text].strip():
                raise DataError(f"row {number}: no text in the column {text!r}")
        self.text, self.label, self.each, self.group = text, label, each, group
        self.drift = drift or self.bounds
        self._rows = [{name: value for name, value in row.items() if name != "synthesis"} for row in rows]
        self._groups = [group_of(row, text, group) for row in self._rows]
        self._begin()

    def _begin(self, seed: int = 0) -> None:
        """Forget an earlier run: what is drawn, and what was said."""
        self._seed, self._turn = seed, 0
        self._drifted = Drifted(self.drift)
        self._said: set[tuple[str, str]] = {(group, self._rows[i][self.text]) for i, group in enumerate(self._groups)}

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return a prompt a child: all at once, or as many as are missing."""
        if made.round == 0:
            self._begin(made.seed)
        return [self._prompt(parent, child) for parent, child in self._turns(made)]

    def _turns(self, made: Made) -> list[tuple[int, int]]:
        """Return (parent, child) of what is to be tried in this round: every parent's first child, then the next."""
        count = left = len(self._rows) * self.each - self._turn
        order = list(range(len(self._rows)))
        if made.wanted is not None:
            kept = min(1.0, made.kept_a_prompt * self.calls)
            count = min(left, round(made.missing / kept))
            order = np.random.default_rng(made.seed).permutation(len(order)).tolist()
        turns = [divmod(turn, len(order)) for turn in range(self._turn, self._turn + count)]
        self._turn += count
        return [(order[place], child) for child, place in turns]

    @abstractmethod
    def _prompt(self, parent: int, child: int) -> Prompt:
        """Return the prompt of a parent's child by its number."""

    def _random(self, parent: int, child: int) -> np.random.Generator:
        """Return what a child is drawn by: the same whatever else is made."""
        return np.random.default_rng([self._seed, parent, child])

    def _facts(self, parent: int, child: int, **more: Any) -> dict[str, Any]:
        return {"parent": parent, "group": self._groups[parent], "child": child, **more}

    def read_round(
        self, prompts: Sequence[Prompt], replies: Sequence[Reply | Failure]
    ) -> Iterable[tuple[int, Row | Unread]]:
        """Return the children, those that are within the bounds and not said already, and what is none."""
        found = list(super().read_round(prompts, replies))
        rows = [(place, one) for place, (_, one) in enumerate(found) if not isinstance(one, Unread)]
        before = [self._compared(prompts[found[place][0]]) for place, _ in rows]
        reasons = self._drifted.reasons(before, [str(row[self.text]) for _, row in rows])
        for (place, row), reason in zip(rows, reasons, strict=True):
            key = (str(row[self.group]), str(row[self.text]))
            if reason is None and key in self._said:
                reason = "said already: by another child of its group"  # noqa: PLW2901
            self._said.add(key)
            if reason is not None:
                found[place] = (found[place][0], Unread(reason, row))
        return found

    def _compared(self, prompt: Prompt) -> str:
        """Return the text that a child's drift is measured from."""
        return str(self._rows[int(prompt.facts["parent"])][self.text])

    def _child(self, prompt: Prompt, **changed: Any) -> Row:
        """Return a child: its parent's row with some columns changed, and the group."""
        return {**self._rows[int(prompt.facts["parent"])], **changed, self.group: prompt.facts["group"]}

    def _asked(self, asking: Asking, text: str, child: int, fields: Fields) -> Request:
        """Return a request; its sample is the child's number, so that with more children the first are not re-asked."""
        return Request.of(
            text,
            temperature=asking.temperatures[child % len(asking.temperatures)],
            max_tokens=asking.max_tokens,
            response_format=fields.response_format() if asking.constrained else None,
            metadata={"sample": [child]},
        )

    def _answered(self, prompt: Prompt, reply: Reply, fields: Fields) -> Iterable[Row | Unread]:
        """Return the child of an answer that has the varied column alone."""
        for one in fields.read(reply.text):
            if isinstance(one, Unread):
                yield one
                continue
            child = self._child(prompt, **{self.text: str(one[self.text]).strip()})
            # What a small model does most often in place of rewording a question is to answer it.
            answered = self.questions and self._compared(prompt).rstrip().endswith("?") and "?" not in child[self.text]
            yield Unread("answered: the question is none any more", child) if answered else child

    def beside(self) -> Mapping[str, Sequence[Row]]:
        """Return the parents, with the column that their children have, too."""
        told = [{**row, self.group: group} for row, group in zip(self._rows, self._groups, strict=True)]
        return {PARENTS: told}

    def labelled(self) -> list[tuple[str, str]]:
        """Return (text, label) of the parents that have a label.

        Raises:
            ConfigError: no label column is named.
        """
        if self.label is None:
            raise ConfigError(f"{self.name}: no label column is named, so there is no label to confirm")
        return [(row[self.text], str(row[self.label])) for row in self._rows if row[self.label] not in (None, "")]

    def findings(self) -> dict[str, Any]:
        """Return how near the children are to their parents."""
        return {"drift": self._drifted.told()}

    def config(self) -> dict[str, Any]:
        """Return the settings; of the rows, how many."""
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        told |= {"rows": len(self._rows), "drift": self.drift.config()}
        for name, value in told.items():
            told[name] = asdict(value) if isinstance(value, Asking) else getattr(value, "version", value)
        return told
