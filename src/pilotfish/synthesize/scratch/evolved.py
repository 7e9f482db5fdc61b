"""Instructions made harder, generation after generation, or turned into others.

Source: Xu et al. 2024 (WizardLM, Evol-Instruct), section 3.2: five ways to deepen and one to broaden; what does not
evolve is thrown out: an answer that is an apology, that says nothing, or that speaks of "the given task".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.recipe import Made, Prompt, Recipe, Unread
from pilotfish.synthesize.scratch.instructed import FIELDS
from pilotfish.synthesize.templates import Template

__all__ = ["WAYS", "Evolved"]

WAYS = {
    "constraints": "add one more constraint or requirement to it.",
    "deepening": "where it asks about something, ask about it in more depth and breadth.",
    "concretizing": "put more specific notions in the place of general ones.",
    "reasoning": "where few steps of thought would do, make it ask for several, explicitly.",
    "complicating": "give it a more complex input to work on, such as a table, some code or a formula.",
    "broadening": "write another task of the same field, about as long and as hard, but rarer.",
}
_SORRY = re.compile(r"\b(sorry|as an ai|i cannot|i can't)\b", re.IGNORECASE)
_COPIED = re.compile(r"\b(given|rewritten|new|original)[ _](task|prompt|instruction)\b", re.IGNORECASE)

ASKING = Asking(max_tokens=1024)


class Evolved(Recipe):
    """Evolves instructions: each generation's tasks are made of those of the one before.

    Args:
        seeds: rows with `instruction`, and `input` where they have one.
        generations: how often each is evolved.
        ways: which of `WAYS`, drawn for each.
        longer: words that a task may grow by.
        asking: how the model is asked.
        template: a name of ours, or a file.
    """

    name = "evolved"

    def __init__(
        self,
        seeds: Sequence[Row],
        *,
        generations: int = 1,
        ways: Sequence[str] = tuple(WAYS),
        longer: int = 20,
        asking: Asking = ASKING,
        template: str | Path = "evolved",
    ) -> None:
        self.seeds = [dict(row) for row in seeds if str(row.get("instruction", "")).strip()]
        unknown = [way for way in ways if way not in WAYS]
        if not self.seeds or generations < 1 or longer < 1 or not ways or unknown:
            raise ConfigError(
                f"evolving needs seeds with an `instruction`, one generation or more, and ways of {', '.join(WAYS)}"
            )
        self.generations, self.ways, self.longer, self.asking = generations, list(ways), longer, asking
        self.template = Template(template)

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return the prompts of a generation: of the seeds, then of what the last one left."""
        if made.round >= self.generations or (made.wanted is not None and not made.missing):
            return []
        parents: list[tuple[Row, int | None]] = [(row, None) for row in self.seeds]
        if made.round:
            parents = [
                (row, i)
                for i, (row, facts) in enumerate(zip(made.rows, made.facts, strict=True))
                if facts["generation"] == made.round
            ]
        random = np.random.default_rng([made.seed, made.round])
        found = []
        for number, (row, parent) in enumerate(parents):
            way = self.ways[int(random.integers(len(self.ways)))]
            text = self.template.fill(
                {
                    "how": WAYS[way],
                    "longer": self.longer,
                    "instruction": row["instruction"],
                    "input": row.get("input") or "",
                    "fields": FIELDS.meanings,
                }
            )
            facts = {"generation": made.round + 1, "way": way, "parent": parent, "instruction": row["instruction"]}
            request = self.asking.request(text, made, number, FIELDS.response_format())
            found.append(Prompt(request, facts, self.template.version))
        return found

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the task of an answer, unless it has not evolved."""
        for one in FIELDS.read(reply.text):
            reason = None if isinstance(one, Unread) else _not_evolved(one, str(prompt.facts["instruction"]))
            yield one if reason is None else Unread(f"not evolved: {reason}", reply.text)

    def config(self) -> dict[str, Any]:
        """Return the settings; of the seeds, how many."""
        return {**super().config(), "seeds": len(self.seeds)}


def _not_evolved(row: Row, before: str) -> str | None:
    instruction, output = str(row["instruction"]), str(row["output"])
    if " ".join(instruction.lower().split()) == " ".join(before.lower().split()):
        return "the same task"
    if _COPIED.search(instruction) and not _COPIED.search(before):
        return "it speaks of the task it came from"
    if len(output.split()) < 80 and _SORRY.search(output):
        return "an apology"
    return None if re.search(r"\w", output) else "nothing is said"
