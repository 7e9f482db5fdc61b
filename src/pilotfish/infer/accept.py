"""When a small model's reply is trusted: a score of its log-probabilities against a threshold.

Source: Gupta et al. 2024 (Language Model Cascades: token-level uncertainty and beyond), sections 3.2 and 3.4.
`sum-logprob` is their Chow-Sum: every further token lowers it, so it defers long replies. `mean-logprob` is
Chow-Average: one unsure token among many sure ones hardly shows, so it trusts long replies. `quantile-logprob` is
Chow-Quantile: the log-probability below which a share of the tokens lies, `min-logprob` its quantile 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pilotfish.errors import ConfigError, ModelError, did_you_mean
from pilotfish.measure.checks import Accept, Verdict
from pilotfish.model import Reply, Request, TokenLogprob

__all__ = ["QUANTILE", "SCORES", "Above", "Accept", "quantile_logprob"]


def _sum_logprob(tokens: tuple[TokenLogprob, ...]) -> float:
    return sum(token.logprob for token in tokens)


def _mean_logprob(tokens: tuple[TokenLogprob, ...]) -> float:
    return sum(token.logprob for token in tokens) / len(tokens)


def quantile_logprob(tokens: tuple[TokenLogprob, ...], quantile: float) -> float:
    """Return the log-probability below which a share of the tokens lies, linear between two tokens."""
    values = sorted(token.logprob for token in tokens)
    at = quantile * (len(values) - 1)
    below = int(at)
    above = min(below + 1, len(values) - 1)
    return (
        values[below]
        if values[below] == values[above]
        else values[below] + (at - below) * (values[above] - values[below])
    )


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
    "sum-logprob": _sum_logprob,
    "mean-logprob": _mean_logprob,
    "min-logprob": lambda tokens: quantile_logprob(tokens, 0.0),
    "confidence": _confidence,
    "margin": _margin,
}
QUANTILE = "quantile-logprob"


@dataclass(frozen=True, slots=True)
class Above:
    """Trust a reply whose score is at least `above`.

    `score` is one of `sum-logprob` (nats), `mean-logprob` (nats a token), `min-logprob`, `quantile-logprob` (at
    `quantile`), `confidence` (exp of the mean log-probability; for a classifier the probability of its label) and
    `margin` (probability of the best less that of the next).
    """

    score: str
    above: float
    quantile: float | None = None

    def __post_init__(self) -> None:
        if self.score not in (*SCORES, QUANTILE):
            raise ConfigError(f"unknown score {self.score!r}{did_you_mean(self.score, (*SCORES, QUANTILE))}")
        if (self.score == QUANTILE) != (self.quantile is not None) or not 0 <= (self.quantile or 0) <= 1:
            raise ConfigError(f"{QUANTILE!r} needs `quantile`, between 0 and 1, and no other score takes it")
        if math.isnan(self.above):
            raise ConfigError("the threshold `above` must be a number; with NaN no reply would ever be trusted")

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Score a reply.

        Raises:
            ModelError: the reply carries no log-probabilities.
        """
        if not reply.logprobs:
            raise ModelError(f"the score {self.score!r} needs log-probabilities, and the small model's reply has none")
        if self.quantile is not None:
            score = quantile_logprob(reply.logprobs, self.quantile)
        else:
            score = SCORES[self.score](reply.logprobs)
        return Verdict(score >= self.above, score, threshold=self.above)
