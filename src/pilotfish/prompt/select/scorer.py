"""A small learned scorer of instructions: a Gaussian process over an encoder's vectors of them.

Sources: Rasmussen and Williams 2006, algorithm 2.1 and equation 5.8 (marginal likelihood); Srinivas et al. 2010
(GP-UCB); for prompts Hu et al. 2024 (ZOPO), and Lin et al. 2024 (INSTINCT), which takes a neural bandit instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows.vectors import unit_vectors

__all__ = ["PromptScorer"]

Floats = NDArray[np.float64]
_LENGTHS = (0.1, 0.2, 0.4, 0.8, 1.6)  # of 1 - cosine, which lies between 0 and 2


class PromptScorer:
    """Foretells what instructions that were not tried are worth, and how unsure that is.

    The kernel is s² exp(-(1 - cosine) / l). The length l and the share of s² in the scores' variance are those of the
    greatest marginal likelihood on a grid; each score has noise by how many rows it is the mean of.

    Args:
        encode: texts to vectors, as an `Encoder.encode`.

    Attributes:
        length_: l.
        scale_: s².
        mean_: of the scores, which is foretold where nothing is near.
    """

    length_: float
    scale_: float
    mean_: float

    def __init__(self, encode: Callable[[Sequence[str]], ArrayLike]) -> None:
        self.encode = encode

    def fit(self, prompts: Sequence[str], scores: ArrayLike, noise: ArrayLike) -> Self:
        """Learn from instructions that were tried.

        Args:
            prompts: them.
            scores: (prompts,) what each was worth.
            noise: (prompts,) the variance of each score as a mean over its rows.

        Raises:
            DataError: none, or numbers that are not finite, or noise that is not above 0.
        """
        told, spread = np.asarray(scores, np.float64), np.asarray(noise, np.float64)
        if not len(prompts) or told.shape != (len(prompts),) or spread.shape != told.shape:
            raise DataError(f"{len(prompts)} instructions but scores {told.shape} and noise {spread.shape}")
        if not (np.isfinite(told).all() and np.isfinite(spread).all() and (spread > 0).all()):
            raise DataError("scores of instructions are finite, and their noise is above 0")
        self._vectors = unit_vectors(self.encode(list(prompts)))
        self.mean_ = float(np.average(told, weights=1 / spread))
        rest = told - self.mean_
        power = max(float(rest.var()), float(spread.mean()), 1e-8)
        apart = 1 - self._vectors @ self._vectors.T
        best = -np.inf
        for length in _LENGTHS:
            for share in (0.1, 0.3, 1.0, 3.0):
                kernel = share * power * np.exp(-np.maximum(apart, 0) / length) + np.diag(spread)
                lower = np.linalg.cholesky(kernel)
                half = np.linalg.solve(lower, rest)
                likelihood = -0.5 * float(half @ half) - float(np.log(np.diag(lower)).sum())
                if likelihood > best:
                    best, self.length_, self.scale_ = likelihood, length, share * power
                    self._lower, self._weights = lower, np.linalg.solve(lower.T, half)
        return self

    def predict(self, prompts: Sequence[str]) -> tuple[Floats, Floats]:
        """Return the mean and the standard deviation of what instructions are worth: (prompts,) each."""
        if not len(prompts):
            return np.zeros(0), np.zeros(0)
        near = np.maximum(1 - unit_vectors(self.encode(list(prompts))) @ self._vectors.T, 0)
        across = self.scale_ * np.exp(-near / self.length_)
        half = np.linalg.solve(self._lower, across.T)
        spread = np.maximum(self.scale_ - (half**2).sum(axis=0), 0)
        return self.mean_ + across @ self._weights, np.sqrt(spread)

    def promising(self, prompts: Sequence[str], count: int, beta: float = 1.0) -> list[int]:
        """Return the places of those of the largest mean + beta deviations, the best first (GP-UCB).

        Raises:
            ConfigError: beta below 0.
        """
        if beta < 0:
            raise ConfigError(f"beta is 0 or more, not {beta}")
        mean, spread = self.predict(prompts)
        return [int(at) for at in np.argsort(-(mean + beta * spread), kind="stable")[:count]]
