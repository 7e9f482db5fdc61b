"""Whether what was found is enough to answer from: else the answer is that it does not stand in the documents.

Source: Yan et al. 2024 (Corrective RAG), section 4.2: a light evaluator scores each passage for the question, and a
threshold tells whether any of them will do; thresholds with a promise: Angelopoulos et al. 2022 (Learn then Test).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.checks import Verdict
from pilotfish.measure.intervals import Interval, wilson
from pilotfish.measure.judging import filled_in
from pilotfish.model import Model, Request, Trace
from pilotfish.retrieve.found import Hit
from pilotfish.retrieve.rag.when import probability_of

__all__ = ["Enough", "EnoughByChoice", "EnoughByScore", "Threshold", "threshold_of"]

# Accepted: the passages will do.
Enough = Callable[[Request, Sequence[Hit]], Verdict | Awaitable[Verdict]]

PROMPT = """Passage: {passage}

Question: {question}

Does the passage hold the answer to the question? Reply with Yes or No only."""


@dataclass(frozen=True)
class EnoughByScore:
    """Enough where the best passage's score is `above` or more.

    A score means something of its own only where the retriever's does: a cosine, a re-ranker's probability, a MaxSim
    over the query's length; that of BM25 grows with the question's length.

    Attributes:
        above: the least score, as `threshold_of` finds it.
        part: which part of a fused or re-ranked score; None is the whole.
    """

    above: float
    part: str | None = None

    def __call__(self, request: Request, hits: Sequence[Hit]) -> Verdict:
        """Look at the best score."""
        scores = [hit.score if self.part is None else hit.parts.get(self.part, -math.inf) for hit in hits]
        best = max(scores, default=-math.inf)
        return Verdict(best >= self.above, best, threshold=self.above)


@dataclass(frozen=True)
class EnoughByChoice:
    """Enough where a small model finds in one of the best passages what the question asks for.

    Attributes:
        judge: a Model that answers with one of two labels and their log-probabilities (a labeller, a classifier).
        above: the least probability of `label`.
        label: of passages that hold the answer.
        passages: how many are looked at, the best ones; all at once.
        prompt: with `{passage}` and `{question}`.
    """

    judge: Model
    above: float = 0.5
    label: str = "yes"
    passages: int = 3
    prompt: str = PROMPT

    def __post_init__(self) -> None:
        if not 0 <= self.above <= 1 or self.passages < 1:
            raise ConfigError("above is a probability, and one passage at least is looked at")
        for place in ("{passage}", "{question}"):
            if place not in self.prompt:
                raise ConfigError(f"the prompt needs the place {place}")

    async def __call__(self, request: Request, hits: Sequence[Hit]) -> Verdict:
        """Ask about each of the best passages."""
        question = request.prompt
        asked = [
            Request.of(
                filled_in(self.prompt, passage=hit.passage.searched, question=question), logprobs=True, top_logprobs=20
            )
            for hit in hits[: self.passages]
        ]
        said = await asyncio.gather(*(self.judge.reply(one) for one in asked))
        scores = [probability_of(one, self.label, self.judge.name) for one in said]
        best = max(scores, default=0.0)
        trace = sum((one.trace for one in said), Trace())
        return Verdict(bool(hits) and best >= self.above, best, trace, threshold=self.above)


@dataclass(frozen=True)
class Threshold:
    """A threshold for evidence, and what it does on the rows that it was found on.

    Attributes:
        above: scores at or above it are enough.
        refused: the share of answerable questions that it refuses.
        let_through: the share of unanswerable ones that it does not refuse; None without any.
        promise: the share refused that is promised not to be surpassed, with `confidence`.
        confidence: of the promise.
    """

    above: float
    refused: Interval
    let_through: Interval | None
    promise: float
    confidence: float


def threshold_of(
    answerable: ArrayLike, unanswerable: ArrayLike = (), *, promise: float = 0.05, confidence: float = 0.9
) -> Threshold:
    """Return the highest threshold that refuses at most a share of what can be answered.

    The number of answerable questions below a score of their own, taken by its rank, is known whatever their
    distribution: with n of them the share of all that lie below the r-th smallest is Beta(r, n + 1 - r).

    Args:
        answerable: the evidence's score of questions whose answer stands in the documents.
        unanswerable: of questions whose answer does not; they are counted, and decide nothing.
        promise: the largest share of answerable questions to be refused.
        confidence: that it is kept.

    Raises:
        DataError: too few answerable questions for any such promise, or a score that is not a number.
    """
    from scipy.stats import beta

    if not 0 < promise < 1 or not 0 < confidence < 1:
        raise ConfigError(f"promise and confidence lie between 0 and 1, not {promise} and {confidence}")
    good, bad = np.sort(np.asarray(answerable, np.float64)), np.asarray(unanswerable, np.float64)
    if np.isnan(good).any() or np.isnan(bad).any():
        raise DataError("a score is not a number")
    n = len(good)
    # The largest rank whose share below is at most the promise with enough confidence.
    ranks = np.arange(1, n + 1)
    kept = ranks[beta.cdf(promise, ranks, n + 1 - ranks) >= confidence]
    if not len(kept):
        need = math.ceil(math.log(1 - confidence) / math.log(1 - promise))
        raise DataError(
            f"{n} answerable questions cannot promise to refuse at most {promise:g} of them with confidence "
            f"{confidence:g}; {need} can"
        )
    above = float(good[kept[-1] - 1])  # the share grows with the rank
    refused = wilson(float((good < above).sum()), n)
    through = wilson(float((bad >= above).sum()), len(bad)) if len(bad) else None
    return Threshold(above, refused, through, promise, confidence)
