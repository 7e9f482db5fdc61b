"""What a reply's token log-probabilities show, as a row of numbers that a deferral head can learn from."""

from __future__ import annotations

import math

from pilotfish.infer.accept import quantile_logprob
from pilotfish.model import TokenLogprob

__all__ = ["SIGNALS", "signals"]

SIGNALS = ("log tokens", "mean", "lowest", "10%", "25%", "median", "first", "mean margin", "least margin", "sum")


def signals(tokens: tuple[TokenLogprob, ...]) -> list[float]:
    """Return the numbers that `SIGNALS` names, in nats (margins in probability); zeros where there is no token.

    Margins are 1 where the model gives no rivals: then they say nothing, the same of all.
    """
    if not tokens:
        return [0.0] * len(SIGNALS)
    values = [max(-50.0, token.logprob) for token in tokens]
    margins = [_margin(token) for token in tokens]
    return [
        math.log1p(len(values)),
        sum(values) / len(values),
        min(values),
        *(max(-50.0, quantile_logprob(tokens, at)) for at in (0.1, 0.25, 0.5)),
        values[0],
        sum(margins) / len(margins),
        min(margins),
        max(-500.0, sum(values)),
    ]


def _margin(token: TokenLogprob) -> float:
    if len(token.top) < 2:
        return 1.0
    first, second = sorted((logprob for _, logprob in token.top), reverse=True)[:2]
    return math.exp(first) - math.exp(second)
