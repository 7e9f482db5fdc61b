"""Dirichlet distributions: means of logarithms, Kullback-Leibler divergences, the one that fits best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need

__all__ = ["fitted", "log_means", "log_norm", "overlap"]

Floats = NDArray[np.float64]


def log_means(counts: Floats) -> Floats:
    """Return E[log p] under Dirichlet(counts), over the last axis."""
    digamma = need("scipy.special", "train").digamma
    return np.asarray(digamma(counts) - digamma(counts.sum(axis=-1, keepdims=True)))


def overlap(counts: Floats, prior: Floats) -> Floats:
    """Return KL(Dirichlet(counts) || Dirichlet(prior)) over the last axis, which `prior` may be broadcast to: (...)."""
    gammaln = need("scipy.special", "train").gammaln
    prior = np.broadcast_to(prior, counts.shape)
    norm = gammaln(counts.sum(axis=-1)) - gammaln(prior.sum(axis=-1))
    each = gammaln(prior) - gammaln(counts) + (counts - prior) * log_means(counts)
    return np.asarray(norm + each.sum(axis=-1))


def log_norm(counts: Floats) -> Floats:
    """Return the log of a Dirichlet density's constant, over the last axis."""
    gammaln = need("scipy.special", "train").gammaln
    return np.asarray(gammaln(counts.sum(axis=-1)) - gammaln(counts).sum(axis=-1))


def fitted(means: Floats, first: Floats, steps: int = 20) -> Floats:
    """Return Dirichlets (..., classes) whose mean logarithms come nearer to `means`: Minka 2000, the fixed point.

    Each step has more likelihood than the one before, so a few of them from where one is are an M-step.
    """
    digamma = need("scipy.special", "train").digamma
    found = first
    for _ in range(steps):
        found = _inverse_digamma(digamma(found.sum(axis=-1, keepdims=True)) + means)
        found = np.clip(found, SMALLEST, GREATEST)
    return found


# Beyond these a source says one thing always, and what it says once more would be a surprise without end.
SMALLEST, GREATEST = 1e-2, 1e4


def _inverse_digamma(y: Floats) -> Floats:
    """Return x with digamma(x) = y: Minka 2000, appendix C, five steps of Newton's."""
    special = need("scipy.special", "train")
    x = np.where(y >= -2.22, np.exp(y) + 0.5, -1 / (np.minimum(y, -2.22) - special.digamma(1.0)))
    for _ in range(5):
        x = x - (special.digamma(x) - y) / special.polygamma(1, x)
    return np.asarray(x)
