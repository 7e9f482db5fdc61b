"""Labels kept only where a second model, a small one as a rule, reads the same label off the row.

It is the round trip of a row written for a label, and the test of an augmented row whether it still means what its
parent did. Sources: Anaby-Tavor et al. 2020 (LAMBADA), its filter; Alberti et al. 2019 (round-trip consistency).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Model, Reply, Request
from pilotfish.models.calls import Calls, Failure
from pilotfish.rows._row import Row
from pilotfish.synthesize.recipe import Check, Made, Prompt

__all__ = ["Agrees"]


class Agrees(Check):
    """Keeps the rows whose label another model gives, too.

    Args:
        model: answers a text with a label: a classifier, or a `Labeller` over any model.
        path: the file for its calls.
        text: the column that it reads.
        label: the column that its answer is held against.
        least: of its probability for the label, where it gives any; with it, a label that is not its likeliest will do.
        concurrency: calls under way at once.
    """

    name = "label not confirmed"

    def __init__(
        self,
        model: Model,
        path: str | Path,
        *,
        text: str = "text",
        label: str = "label",
        least: float | None = None,
        concurrency: int | None = None,
    ) -> None:
        if least is not None and not 0 < least < 1:
            raise ConfigError(f"least is a probability between 0 and 1, not {least}")
        self.text, self.label, self.least = text, label, least
        self._calls = Calls(model, path, concurrency=concurrency)

    async def reasons(self, rows: Sequence[Row], prompts: Sequence[Prompt], made: Made) -> Sequence[str | None]:
        """See `Check`."""
        requests = [Request.of(str(row.get(self.text, ""))) for row in rows]
        replies = await self._calls.replies(requests, progress=False)
        return [self._reason(str(row.get(self.label)), reply) for row, reply in zip(rows, replies, strict=True)]

    def _reason(self, label: str, reply: Reply | Failure) -> str | None:
        if isinstance(reply, Failure):
            return f"not read: {reply.reason}"
        if self.least is None or reply.logprobs is None:
            return None if reply.text == label else f"read as {reply.text}"
        shares = {reply.logprobs[0].token: reply.logprobs[0].logprob, **dict(reply.logprobs[0].top)}
        share = exp(shares[label]) if label in shares else 0.0
        return None if share >= self.least else f"read as {reply.text}, and so with {share:.2f}"

    def config(self) -> dict[str, Any]:
        """Return the settings."""
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {**told, "model": self._calls.model.name}

    def close(self) -> None:
        """Close the store of its calls."""
        self._calls.close()
