"""Whether to look at all: a small model decides, from the question or from the answer without passages.

Sources: Jeong et al. 2024 (Adaptive-RAG), section 3.2: a small classifier, taught on which questions need looking up,
decides from the question alone; Mallen et al. 2023 (When Not to Trust Language Models), section 6: retrieve only where
the model is not sure by itself; Jiang et al. 2023 (FLARE), section 3.2.1: the model's own probabilities tell.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.checks import Verdict
from pilotfish.model import Model, Reply, Request, TokenLogprob

__all__ = ["Label", "Sure", "Whether", "probability_of"]

# Accepted: to look. A `reply` is the answer without looking, where finding out brought one.
Whether = Callable[[Request], Verdict | Awaitable[Verdict]]
# Whether a reply is trusted, as cascades have it.
Accept = Callable[[Request, Reply], Verdict | Awaitable[Verdict]]


@dataclass(frozen=True)
class Label:
    """Look where a classifier of questions gives a label with a probability of `above` or more.

    The classifier is any Model that answers with a label and its log-probabilities: a fine-tuned encoder, a linear
    head, or a language model that chooses among labels (a labeller).

    Attributes:
        classifier: who is asked, with the last user turn.
        label: of questions that need looking up.
        above: the least probability of it.
    """

    classifier: Model
    label: str = "retrieve"
    above: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.above <= 1:
            raise ConfigError(f"above is a probability, not {self.above}")

    async def __call__(self, request: Request) -> Verdict:
        """Ask the classifier.

        Raises:
            ModelError: it knows no such label.
        """
        said = await self.classifier.reply(Request.of(request.prompt, logprobs=True, top_logprobs=20))
        score = probability_of(said, self.label, self.classifier.name)
        return Verdict(score >= self.above, score, said.trace, threshold=self.above)


@dataclass(frozen=True)
class Sure:
    """Look where an answer without passages is not trusted. The answer is kept where it is: nothing is asked twice.

    Attributes:
        model: who answers without passages; mostly the model that would answer from them, or a smaller one.
        accept: whether the answer is trusted, as a cascade has it.
    """

    model: Model
    accept: Accept

    async def __call__(self, request: Request) -> Verdict:
        """Answer without looking, and judge that."""
        asked = request.with_(logprobs=True, top_logprobs=max(2, request.top_logprobs))
        said = await self.model.reply(asked)
        verdict = self.accept(request, said)
        if inspect.isawaitable(verdict):
            verdict = await verdict
        reply = verdict.reply or said
        if not request.logprobs:
            reply = reply.with_(logprobs=None)
        trace = said.trace + verdict.trace
        return Verdict(not verdict.accepted, verdict.score, trace, reply, verdict.threshold)


def probability_of(reply: Reply, label: str, name: str) -> float:
    """Return the probability that a classifier's reply gives a label.

    Raises:
        ModelError: it gives no probabilities, or knows no such label.
    """
    from math import exp

    tokens: tuple[TokenLogprob, ...] = reply.logprobs or ()
    if len(tokens) != 1 or not tokens[0].top:
        raise ModelError(f"{name} gave no probabilities of labels; a classifier or a labeller is needed here")
    known = dict(tokens[0].top)
    if label not in known:
        raise ModelError(f"{name} knows no label {label!r}; it has {', '.join(sorted(known))}")
    return exp(known[label])
