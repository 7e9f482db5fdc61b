"""Any model as a multi-label classifier: asked of each label, one by one, whether it applies."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.model import Model, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models.classify.labeller import Labeller

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SeveralLabeller"]

INSTRUCTION = "Does the category {name} apply to the text? Answer with yes or no and nothing else."
YES, NO = "yes", "no"


@dataclass
class SeveralLabeller(WholeReplies):
    """A model that says of each label whether it applies; it answers with a JSON list.

    A model whose weights are here gives the probability of "yes" beside "no"; a black box answers, and an answer that
    is neither counts as "no" and as a failure.

    Args:
        model: any model.
        labels: the labels.
        names: label -> what a prompt calls it.
        thresholds: label -> the probability from which it applies; one half where none is given.
        concurrency: the most questions in flight to a black-box model.
        name: in traces.

    Raises:
        ConfigError: no labels, or a threshold for what is none of them.
    """

    model: Model
    labels: Sequence[str]
    names: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    concurrency: int | None = None
    name: str = "labeller"

    def __post_init__(self) -> None:
        if not self.labels or set(self.thresholds) - set(self.labels) or set(self.names) - set(self.labels):
            raise ConfigError("a labeller of several needs labels, and names and thresholds of these labels only")
        self._askers = [
            Labeller(self.model, (YES, NO), instruction=INSTRUCTION.format(name=repr(self._shown(label))),
                     concurrency=self.concurrency, name=self.name)
            for label in self.labels
        ]  # fmt: skip

    def predict_proba(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> tuple[NDArray[np.float64], list[Trace], int]:
        """Return each label's probability (texts, labels), the traces of the texts, and the answers that were neither.

        Raises:
            UpstreamError: the endpoint failed after its retries.
        """
        found = np.zeros((len(texts), len(self.labels)))
        traces = [Trace()] * len(texts)
        failures = 0
        for column, asker in enumerate(self._askers):
            said = asker.predict(texts)
            failures += said.failures
            if said.logprobs is not None:
                found[:, column] = np.exp(said.logprobs[:, 0])
            else:
                found[:, column] = [float(label == YES) for label in said.labels]
            traces = [a + b for a, b in zip(traces, said.traces, strict=True)]
            if progress:
                progress(len(texts))
        return found, traces, failures

    def predict(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the labels of each text."""
        found, _, _ = self.predict_proba(texts)
        return [self._said(row) for row in found]

    async def reply(self, request: Request) -> Reply:
        """Return the labels of the last user turn; the calls of all its questions are in the trace."""
        found, traces, _ = await asyncio.to_thread(self.predict_proba, [request.prompt])
        row = found[0]
        text = json.dumps(self._said(row), ensure_ascii=False)
        right = np.where(row >= self._least(), row, 1 - row).clip(min=1e-300)
        top = tuple((label, math.log(max(float(p), 1e-300))) for label, p in zip(self.labels, row, strict=True))
        return Reply(text, logprobs=(TokenLogprob(text, float(np.log(right).sum()), top),), trace=traces[0])

    def _said(self, row: NDArray[np.float64]) -> list[str]:
        return [label for label, there in zip(self.labels, row >= self._least(), strict=True) if there]

    def _least(self) -> NDArray[np.float64]:
        return np.array([self.thresholds.get(label, 0.5) for label in self.labels])

    def _shown(self, label: str) -> str:
        return self.names.get(label) or label.replace("_", " ")
