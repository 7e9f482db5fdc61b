"""Instructions with their answers, from a few of people's: a pool that grows, and shows itself to the model.

Source: Wang et al. 2023 (Self-Instruct), section 2.2: eight examples a prompt, six of people's and two of the model's.
What is too much like the pool is for a check to say (`Unlike`; there ROUGE-L above 0.7).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Made, Prompt, Recipe, Unread
from pilotfish.synthesize.templates import Template

__all__ = ["FIELDS", "Instructed"]

FIELDS = Fields(
    {
        "instruction": "the task, as somebody would put it",
        "input": {"type": "string", "description": "what the task works on, or an empty text"},
        "output": "the task done",
    }
)
_ROUND = 64  # prompts a round: what they bring is shown to those of the next

ASKING = Asking(max_tokens=1024)


class Instructed(Recipe):
    """Writes tasks after the pattern of some.

    Args:
        seeds: rows with `instruction`; those of people.
        domain: what the tasks are about; None for anything.
        people: seeds shown in a prompt.
        own: of the model's own tasks shown in a prompt, once there are any.
        each: tasks a prompt.
        asking: how the model is asked.
        template: a name of ours, or a file.
    """

    name = "instructed"

    def __init__(
        self,
        seeds: Sequence[Row],
        *,
        domain: str | None = None,
        people: int = 6,
        own: int = 2,
        each: int = 1,
        asking: Asking = ASKING,
        template: str | Path = "instructed",
    ) -> None:
        self.seeds = [str(row["instruction"]) for row in seeds if str(row.get("instruction", "")).strip()]
        if not self.seeds:
            raise ConfigError("self-instruct begins with rows that have an `instruction`: give some seeds")
        if people < 1 or own < 0 or each < 1:
            raise ConfigError(f"people and each are 1 or more, own 0 or more, not {people}, {each} and {own}")
        self.domain, self.people, self.own, self.each, self.asking = domain, people, own, each, asking
        self.template = Template(template)

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return a round's prompts, each with other examples."""
        short = made.short()
        if not short:
            return []
        random = np.random.default_rng([made.seed, made.round])
        count = min(_ROUND, -(-short // self.each), max(1, round(short / made.kept_a_prompt)))
        own = [str(row["instruction"]) for row in made.rows]
        found = []
        for number in range(count):
            shown = [self.seeds[int(i)] for i in random.permutation(len(self.seeds))[: self.people]]
            shown += [own[int(i)] for i in random.permutation(len(own))[: self.own]]
            text = self.template.fill(
                {
                    "domain": self.domain,
                    "examples": [shown[int(i)] for i in random.permutation(len(shown))],
                    "count": self.each,
                    "fields": FIELDS.meanings,
                }
            )
            request = self.asking.request(text, made, number, FIELDS.response_format(self.each))
            found.append(Prompt(request, {"domain": self.domain} if self.domain else {}, self.template.version))
        return found

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the tasks of an answer."""
        return FIELDS.read(reply.text, self.each)

    def config(self) -> dict[str, Any]:
        """Return the settings; of the seeds, how many."""
        return {**super().config(), "seeds": len(self.seeds)}
