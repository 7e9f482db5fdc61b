"""The Vendi score and the dispersion of vectors: diversity from similarities, in closed form."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError
from pilotfish.measure.repetition import words

__all__ = ["dispersion", "ngram_kernel", "vendi", "vendi_of_kernel"]

Floats = NDArray[np.float64]


def dispersion(vectors: ArrayLike) -> float:
    """Return the mean cosine distance of all pairs of rows: 0 for one direction, 1 for orthogonal rows, at most 2.

    From the sum s of the n unit vectors: 1 - (|s|^2 - n) / (n (n - 1)).

    Args:
        vectors: (rows, dimensions), at least two rows.

    Raises:
        DataError: fewer than two rows, or one that is zero or not finite.
    """
    unit = _unit(vectors)
    n = len(unit)
    if n < 2:
        raise DataError(f"the dispersion of vectors needs at least two; got {n}")
    total = unit.sum(axis=0)
    return float(1 - (total @ total - n) / (n * (n - 1)))


def vendi(vectors: ArrayLike, q: float = 1.0) -> float:
    """Return the Vendi score of rows by the cosine of their vectors: 1 for copies, n for n orthogonal rows.

    Source: Friedman and Dieng 2023, definition 3.1; order q, Pasarkar and Dieng 2023. The eigenvalues of K / n are
    those of the smaller of the two Gram matrices, so the time is n d^2 or d n^2, whichever is less.

    Args:
        vectors: (rows, dimensions), at least one row.
        q: order of the entropy: 1 is Shannon's; more stresses the common, `inf` goes by the largest eigenvalue alone.

    Raises:
        DataError: no rows, or one that is zero or not finite; q below 0.
    """
    unit = _unit(vectors)
    if not len(unit):
        raise DataError("the Vendi score needs at least one row")
    rows, dimensions = unit.shape
    gram = unit.T @ unit if rows > dimensions else unit @ unit.T
    return _effective(np.linalg.eigvalsh(gram / rows), q)


def vendi_of_kernel(kernel: ArrayLike, q: float = 1.0) -> float:
    """Return the Vendi score of a similarity matrix: (rows, rows).

    It is symmetric, has 1 on its diagonal and no negative eigenvalues.

    Raises:
        DataError: the matrix is not such a one, or q is below 0.
    """
    matrix: Floats = np.asarray(kernel, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise DataError(f"a kernel is a square matrix of at least one row; got shape {matrix.shape}")
    if not np.allclose(matrix, matrix.T, atol=1e-8) or not np.allclose(np.diag(matrix), 1, atol=1e-8):
        raise DataError("a kernel is symmetric and has 1 on its diagonal")
    values = np.linalg.eigvalsh(matrix / len(matrix)).astype(np.float64)
    if values.min() < -1e-6:
        raise DataError(f"a kernel has no negative eigenvalues; the least is {values.min() * len(matrix):.3g}")
    return _effective(values, q)


def ngram_kernel(texts: Sequence[str], orders: Sequence[int] = (1, 2)) -> Floats:
    """Return the cosine of the texts' bags of word n-grams, averaged over the orders: (texts, texts).

    A text with fewer words than an n-gram has is its own only one.
    """
    tokens = [words(text) for text in texts]
    kernel = np.zeros((len(texts), len(texts)))
    for n in orders:
        postings: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
        norms = np.zeros(len(texts))
        for place, text in enumerate(tokens):
            grams = [tuple(text[start : start + n]) for start in range(max(1, len(text) - n + 1))]
            for gram, count in Counter(grams).items():
                postings[gram].append((place, count))
                norms[place] += count * count
        bags = np.zeros_like(kernel)
        for posting in postings.values():
            places, counts = np.array(posting).T
            bags[np.ix_(places, places)] += np.outer(counts, counts)
        kernel += bags / np.sqrt(np.outer(norms, norms)) / len(orders)
    return kernel


def _effective(values: Floats, q: float) -> float:
    """Return the exponential of the entropy of order q of eigenvalues that sum to 1."""
    if not q >= 0:
        raise DataError(f"the order of a Vendi score is at least 0, not {q}")
    shares = values[values > 1e-12]
    shares = shares / shares.sum()
    if q == 1:
        return float(np.exp(-(shares * np.log(shares)).sum()))
    if np.isinf(q):
        return float(1 / shares.max())
    return float((shares**q).sum() ** (1 / (1 - q)))


def _unit(vectors: ArrayLike) -> Floats:
    data = np.asarray(vectors, dtype=np.float64)
    if data.ndim != 2:
        raise DataError(f"vectors are a matrix (rows, dimensions); got shape {data.shape}")
    length = np.linalg.norm(data, axis=1, keepdims=True)
    wrong = np.flatnonzero(~(np.isfinite(length[:, 0]) & (length[:, 0] > 0)))
    if len(wrong):
        raise DataError(f"the vector of row {int(wrong[0]) + 1} is zero or not finite")
    unit: Floats = data / length
    return unit
