"""When a small model's reply is trusted: a score of its log-probabilities against a threshold.

Source: Gupta et al. 2024 (Language Model Cascades: token-level uncertainty and beyond), section 3: Chow-Average is
`mean-logprob` (the sum, Chow-Sum, favours short replies); `min-logprob` is their Chow-Quantile-0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pilotfish.errors import ConfigError, ModelError, did_you_mean
from pilotfish.model import Reply, Request, TokenLogprob

Accept = Callable[[Request, Reply], "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a reply is trusted, and the score that says so."""

    accepted: bool
    score: float | None = None


def _mean_logprob(tokens: tuple[TokenLogprob, ...]) -> float:
    return sum(token.logprob for token in tokens) / len(tokens)


def _min_logprob(tokens: tuple[TokenLogprob, ...]) -> float:
    return min(token.logprob for token in tokens)


def _confidence(tokens: tuple[TokenLogprob, ...]) -> float:
    return math.exp(_mean_logprob(tokens))


def _margin(tokens: tuple[TokenLogprob, ...]) -> float:
    """Return the mean difference in probability between the likeliest token and the next."""
    gaps = []
    for token in tokens:
        ranked = sorted((logprob for _, logprob in token.top), reverse=True)
        if len(ranked) < 2:
            raise ModelError("the margin needs top_logprobs of 2 or more from the small model")
        gaps.append(math.exp(ranked[0]) - math.exp(ranked[1]))
    return sum(gaps) / len(gaps)


SCORES: dict[str, Callable[[tuple[TokenLogprob, ...]], float]] = {
    "mean-logprob": _mean_logprob,
    "min-logprob": _min_logprob,
    "confidence": _confidence,
    "margin": _margin,
}


@dataclass(frozen=True, slots=True)
class Above:
    """Trust a reply whose score is at least `above`.

    `score` is one of `mean-logprob` (nats a token), `min-logprob`, `confidence` (exp of the mean log-probability; for
    a classifier the probability of its label) and `margin` (probability of the best less that of the next).
    """

    score: str
    above: float

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise ConfigError(f"unknown score {self.score!r}{did_you_mean(self.score, SCORES)}")
        if math.isnan(self.above):
            raise ConfigError("the threshold `above` must be a number; with NaN no reply would ever be trusted")

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Score a reply.

        Raises:
            ModelError: the reply carries no log-probabilities.
        """
        if not reply.logprobs:
            raise ModelError(f"the score {self.score!r} needs log-probabilities, and the small model's reply has none")
        score = SCORES[self.score](reply.logprobs)
        return Verdict(score >= self.above, score)
