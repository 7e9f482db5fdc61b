"""How unsure a model is, by how alike its answers are: without clusters, without likelihoods.

Source: Lin et al. 2024 (Generating with Confidence), section 4.2: the eigenvalues of the normalised graph Laplacian and
the degrees of a graph whose weights are how alike two answers are; Nikitin et al. 2024 (Kernel Language Entropy),
section 3: the von Neumann entropy of a heat kernel over that graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["degree", "eigenvalues", "kernel_entropy", "laplacian"]


def laplacian(alike: ArrayLike) -> NDArray[np.float64]:
    """Return I - D^(-1/2) W D^(-1/2), D the sums of W's rows.

    Args:
        alike: (answers, answers) from 0 to 1 and 1 on the diagonal; what is not symmetric is averaged.

    Raises:
        DataError: another shape, or numbers outside.
    """
    weights = np.asarray(alike, np.float64)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not weights.size:
        raise DataError(f"how alike answers are is a square, not {weights.shape}")
    if not ((weights >= 0) & (weights <= 1)).all() or not np.allclose(np.diag(weights), 1):
        raise DataError("how alike answers are lies between 0 and 1, and is 1 of an answer with itself")
    weights = (weights + weights.T) / 2
    scale = 1 / np.sqrt(weights.sum(axis=1))
    found: NDArray[np.float64] = np.eye(len(weights)) - scale[:, None] * weights * scale[None]
    return found


def eigenvalues(alike: ArrayLike) -> float:
    """Return sum max(0, 1 - lambda): how many meanings there are, in effect; 1 where all answers are alike."""
    values = np.linalg.eigvalsh(laplacian(alike))
    return float(np.maximum(0.0, 1.0 - values).sum())


def degree(alike: ArrayLike) -> float:
    """Return how unlike two answers are on average, each with itself counted too: 0 where all are alike."""
    laplacian(alike)  # which checks
    return float(1.0 - np.asarray(alike, np.float64).mean())


def kernel_entropy(alike: ArrayLike, *, time: float = 0.3) -> float:
    """Return the von Neumann entropy, in nats, of the heat kernel exp(-t L) scaled to trace 1.

    Args:
        alike: as in `laplacian`.
        time: t: the larger, the more answers are taken together by way of others.
    """
    if not time > 0:
        raise DataError(f"time must be above 0, not {time}")
    heat = np.exp(-time * np.linalg.eigvalsh(laplacian(alike)))
    shares = heat / heat.sum()
    return float(-(shares * np.log(shares)).sum())
