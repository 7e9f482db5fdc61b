"""The authors' formulas over whole probability vectors in float64, for `benchmarks.logits`: written from the papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def p_of(logits: Vector) -> Vector:
    """Return softmax of logits (…, vocabulary)."""
    power = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(power / power.sum(-1, keepdims=True))


def log_normalised(scores: Vector) -> Vector:
    """Return the log-probabilities of unnormalised logarithms; -inf stays."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p_of(scores)))


def proxy_tuning(base: Vector, expert: Vector, anti_expert: Vector) -> Vector:
    """Liu et al. 2024, equation (1)."""
    p = p_of(base) * p_of(expert) / p_of(anti_expert)
    return np.asarray(np.log(p / p.sum(-1, keepdims=True)))


def plausible(p: Vector, alpha: float) -> Vector:
    """Li et al. 2023, equation (3)."""
    return np.asarray(p >= alpha * p.max(-1, keepdims=True))


def contrastive(expert: Vector, amateur: Vector, alpha: float = 0.1) -> Vector:
    """Li et al. 2023, equations (2) and (3)."""
    strong, weak = p_of(expert), p_of(amateur)
    return log_normalised(np.where(plausible(strong, alpha), np.log(strong / weak), -np.inf))


def contrastive_logits(expert: Vector, amateur: Vector, beta: float = 0.5, alpha: float = 0.1) -> Vector:
    """O'Brien and Lewis 2023, section 2.2."""
    kept = expert >= expert.max(-1, keepdims=True) + np.log(alpha)
    return log_normalised(np.where(kept, (1 + beta) * expert - beta * amateur, -np.inf))


def context_aware(informed: Vector, uninformed: Vector, alpha: float = 0.5) -> Vector:
    """Shi et al. 2024: p(y | c, x) (p(y | c, x) / p(y | x))^alpha, normalised."""
    p = p_of(informed) * (p_of(informed) / p_of(uninformed)) ** alpha
    return np.asarray(np.log(p / p.sum(-1, keepdims=True)))


def dola(last: Vector, candidates: Sequence[Vector], alpha: float = 0.1) -> Vector:
    """Chuang et al. 2024: the candidate of the largest Jensen-Shannon divergence, position by position."""
    q = p_of(last)
    early = np.stack([p_of(layer) for layer in candidates])
    middle = (q + early) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = [
            np.where(one > 0, one * np.log(one / middle), 0).sum(-1) for one in (np.broadcast_to(q, early.shape), early)
        ]
    chosen = (gaps[0] / 2 + gaps[1] / 2).argmax(0)
    premature = np.take_along_axis(early, chosen[None, ..., None], axis=0)[0]
    return log_normalised(np.where(plausible(q, alpha), np.log(q / premature), -np.inf))
