"""The work of a task as calls: rows in, what they score out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from pilotfish._sync import wait
from pilotfish.compete.constrained.lm import SessionLM
from pilotfish.compete.constrained.task import FitTask
from pilotfish.model import Request
from pilotfish.models._tokens import encode
from pilotfish.models.classify import ClassifierModel, Labeller

__all__ = ["Doing"]

Row = dict[str, Any]
PROMPT = 64  # tokens of a text that are gone on with


class Doing:
    """What is done with each row, by a model that `open` returned.

    Args:
        task: the task.
        model: of a fitting kind.
        new_tokens: that a text is gone on with.
    """

    def __init__(self, task: FitTask, model: Any, new_tokens: int = 16) -> None:
        self.task, self.model, self.new_tokens = task, model, new_tokens

    def scored(self, rows: Sequence[Row]) -> list[list[float]]:
        """Return each row's numbers (see `pilotfish.compete.constrained.task.value_of`)."""
        if self.task.sort == "classes":
            return [[float(a == row["label"])] for a, row in zip(self._labels(rows), rows, strict=True)]
        if self.task.sort == "similarity":
            vectors = self.model.encode([row[side] for side in ("a", "b") for row in rows]).astype(np.float64)
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            cosines = (vectors[: len(rows)] * vectors[len(rows) :]).sum(axis=1)
            return [[row["score"], float(cosine)] for row, cosine in zip(rows, cosines, strict=True)]
        if self.task.sort == "choices":
            told = [self.model.choices([row["prompt"]], row["choices"])[0] for row in rows]
            return [[float(np.argmax(one) == row["answer"])] for one, row in zip(told, rows, strict=True)]
        scored = self.model.score([("", row["text"]) for row in rows])
        sizes = [len(row["text"].encode()) for row in rows]
        return [[one.total, size, len(one.tokens)] for one, size in zip(scored, sizes, strict=True)]

    def done(self, rows: Sequence[Row]) -> None:
        """Do for rows, together, what is asked of the model once it is deployed: texts are gone on with."""
        if self.task.sort != "text":
            self.scored(rows)
            return
        prompts = [encode(self.model.tokenizer, row["text"])[:PROMPT] for row in rows]
        if isinstance(self.model, SessionLM):
            for prompt in prompts:
                self.model.generate(prompt, self.new_tokens)
            return
        asked = [
            Request.of("", max_tokens=self.new_tokens, temperature=0.0, metadata={"prompt_ids": ids}) for ids in prompts
        ]

        async def all_of() -> None:
            await asyncio.gather(*(self.model.reply(one) for one in asked))

        wait(all_of())

    def _labels(self, rows: Sequence[Row]) -> Sequence[str | None]:
        texts = [row["text"] for row in rows]
        if isinstance(self.model, Labeller):
            return self.model.predict(texts).labels
        assert isinstance(self.model, ClassifierModel)
        return self.model.classifier.predict(texts)
