"""A task whose models are functions: sums that a small model gets right where both numbers are small."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.compete.advisor.task import AnswerTask, answer_task
from pilotfish.compete.advisor.ways import Facts
from pilotfish.errors import ModelError
from pilotfish.model import Call, Reply, Request, TokenLogprob, Trace, WholeReplies

COUNT = 240


def rows(count: int = COUNT) -> list[dict[str, Any]]:
    rng = np.random.default_rng(4)
    pairs = rng.permutation([(a, b) for a in range(2, 40) for b in range(2, 40)])[:count]
    return [{"a": int(a), "b": int(b), "sum": str(a + b)} for a, b in pairs]


def task() -> AnswerTask:
    return answer_task(rows(), "generation", prompt="What is {a} plus {b}?", gold="sum", max_tokens=8)


class Adds(WholeReplies):
    """Adds; wrong, and unsure, where a number is above `knows`."""

    def __init__(self, name: str, knows: int, cost: float, *, sure: bool = True) -> None:
        self.name, self.knows, self.cost, self.sure = name, knows, cost, sure
        self.asked: list[str] = []

    async def reply(self, request: Request) -> Reply:
        found = re.search(r"What is (\d+) plus (\d+)\?", request.prompt)
        if found is None:
            raise ModelError(f"no sum in {request.prompt!r}")
        self.asked.append(request.prompt)
        a, b = int(found[1]), int(found[2])
        known = max(a, b) <= self.knows
        said = str(a + b if known else a + b + 1)
        logprob = -0.01 if known else -1.0 - (a * 7 + b) % 10 / 10
        tops = (TokenLogprob(said, logprob, ((said, logprob), ("?", -5.0))),)
        return Reply(
            said,
            logprobs=tops if request.logprobs and self.sure else None,
            trace=Trace((Call(self.name, "model", 10, 2, 0.001, self.cost),)),
        )


class Bench:
    """Models by name, and what was asked of it."""

    def __init__(self, folder: Path, models: Mapping[str, Any]) -> None:
        self.folder, self.models = folder, dict(models)
        self.added: dict[str, Any] = {}

    def add(self, models: Mapping[str, Mapping[str, Any]]) -> None:
        self.added |= models

    def model(self, name: str) -> Any:
        if name not in self.models:
            raise ModelError(f"{name} is not made")
        return self.models[name]

    def identity(self, name: str) -> Any:
        return name

    def make_index(self) -> int:
        return 0

    def weights(self, name: str) -> str | None:
        return None


FACTS = Facts("small", "large", frozenset(), same_vocabulary=False, causal=False, prompt_tokens=9, documents=False)
NAMES = {"small": "Little", "large": "Big"}
