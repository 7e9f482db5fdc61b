"""Rows conditioned on attributes: each prompt asks for one class and one value of every attribute.

Source: Yu et al. 2023 (AttrPrompt, "Large Language Model as Attributed Training Data Generator"), section 3: attributes
drawn for each prompt give data that are more diverse, and less biased to what the model thinks first, than a prompt by
class alone does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Made, Prompt, Recipe, Unread
from pilotfish.synthesize.scratch._turns import turns, values_of
from pilotfish.synthesize.templates import Template

__all__ = ["Attributed"]

ASKING = Asking()


class Attributed(Recipe):
    """Writes rows of given fields, by class and attributes.

    The values of an attribute come in turn, in a new random order each time round, so that a short run has them all.

    Args:
        task: what the rows are, in words: "Customer messages to a bank's support."
        fields: the columns; see `Fields`. The label's column is known by what was asked, and is not asked for.
        label: the column of the class; None for rows without classes.
        labels: the classes, or class -> what it means.
        shares: class -> its share of the rows; None for equal shares.
        attributes: name -> its values; or class -> {name -> values} under the key of `by_label`.
        by_label: class -> further attributes of that class alone.
        examples: rows to show the form by; `shots` of them are drawn for each prompt, of its class where they say it.
        shots: how many.
        each: rows a prompt.
        asking: how the model is asked.
        template: a name of ours, or a file.

    Raises:
        ConfigError: settings that do not go together.
    """

    name = "attributed"

    def __init__(
        self,
        task: str,
        fields: Mapping[str, Any] | type | Fields,
        *,
        label: str | None = None,
        labels: Sequence[str] | Mapping[str, str] | None = None,
        shares: Mapping[str, float] | None = None,
        attributes: Mapping[str, Sequence[str]] | None = None,
        by_label: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
        examples: Sequence[Row] = (),
        shots: int = 3,
        each: int = 1,
        asking: Asking = ASKING,
        template: str | Path = "attributed",
    ) -> None:
        if (label is None) != (labels is None):
            raise ConfigError("give `label`, the column, and `labels`, its classes, or neither")
        self.fields = fields if isinstance(fields, Fields) else Fields(fields)
        self.label = label
        named = labels if isinstance(labels, Mapping) else dict.fromkeys(labels or (), "")
        self.labels = {str(name): str(meaning) for name, meaning in named.items()}
        if label is not None and len(self.labels) < 2:
            raise ConfigError("`labels` needs two classes or more")
        self.shares = _shares(self.labels, shares)
        self.attributes = values_of(attributes or {})
        self.by_label = {name: values_of(own) for name, own in (by_label or {}).items()}
        unknown = [name for name in self.by_label if name not in self.labels]
        if unknown:
            raise ConfigError(f"`by_label` has {unknown[0]!r}, which is not among the labels")
        if each < 1 or shots < 0:
            raise ConfigError(f"each is 1 or more, shots 0 or more, not {each} and {shots}")
        self.task, self.examples, self.shots, self.each = task, [dict(row) for row in examples], shots, each
        self.asking = asking
        self.template = Template(template)
        self._asked = self.fields.without(label) if label is not None else self.fields

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return prompts for what each class lacks, a few more where earlier rows were not all kept."""
        made.short()
        random = np.random.default_rng([made.seed, made.round])
        found: list[Prompt] = []
        for name, lacking in self.lacking(made).items():
            count = -(-lacking // self.each)
            if made.round:
                count = max(1, round(lacking / made.kept_a_prompt))
            drawn = turns({**self.attributes, **self.by_label.get(name, {})}, count, random)
            found += [self._prompt(name, one, made, random, len(found) + i) for i, one in enumerate(drawn)]
        return [found[int(i)] for i in random.permutation(len(found))]

    def lacking(self, made: Made) -> dict[str, int]:
        """Return how many rows each class still lacks; of rows without classes, all under an empty name."""
        assert made.wanted is not None
        if self.label is None:
            return {"": made.missing} if made.missing else {}
        counts = made.counts(self.label)
        quota = _quotas(self.shares, made.wanted)
        return {name: quota[name] - counts[name] for name in self.labels if quota[name] > counts[name]}

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the rows of an answer, with their class."""
        found = self._asked.read(reply.text, self.each)
        if self.label is None:
            return found
        own = {self.label: prompt.facts["label"]}
        return [one if isinstance(one, Unread) else {**one, **own} for one in found]

    def surplus(self, row: Row, made: Made) -> str | None:
        """Say that a row's class is full."""
        if self.label is None:
            return super().surplus(row, made)
        return None if row[self.label] in self.lacking(made) else "its class is full"

    def _prompt(self, name: str, drawn: dict[str, str], made: Made, random: np.random.Generator, number: int) -> Prompt:
        shown = [row for row in self.examples if not name or row.get(self.label or "", name) == name] or self.examples
        chosen = random.permutation(len(shown))[: self.shots]
        own = list(self._asked.meanings)
        text = self.template.fill(
            {
                "task": self.task,
                "label": name,
                "label_name": self.label or "",
                "meaning": self.labels.get(name, ""),
                "attributes": drawn,
                "examples": [_shown({key: shown[int(i)][key] for key in own if key in shown[int(i)]}) for i in chosen],
                "count": self.each,
                "fields": self._asked.meanings,
            }
        )
        request = self.asking.request(text, made, number, self._asked.response_format(self.each))
        facts: dict[str, Any] = {"attributes": drawn} if drawn else {}
        return Prompt(request, {**facts, "label": name} if name else facts, self.template.version)


def _shown(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False)


def _shares(labels: Mapping[str, str], shares: Mapping[str, float] | None) -> dict[str, float]:
    if shares is None:
        return dict.fromkeys(labels, 1 / len(labels)) if labels else {}
    if set(shares) != set(labels) or min(shares.values()) <= 0:
        raise ConfigError("`shares` needs a share above 0 for each label, and for nothing else")
    total = sum(shares.values())
    return {name: shares[name] / total for name in labels}


def _quotas(shares: Mapping[str, float], wanted: int) -> dict[str, int]:
    """Return whole numbers that sum to what is wanted (largest remainders)."""
    found = {name: int(share * wanted) for name, share in shares.items()}
    left = sorted(shares, key=lambda name: found[name] - shares[name] * wanted)
    for name in left[: wanted - sum(found.values())]:
        found[name] += 1
    return found
