"""Correlations of one column with another, of many draws of the rows at once.

A draw says how often each row is in it. With s_ij the sign of x_i - x_j, sums over pairs weighted by those counts are
products of matrices: Kendall's concordant less discordant pairs are the sum of s^x s^y, pairs that are told apart those
of |s|, and a row's rank in the draw is half its sum over j and a constant. So no draw is sorted; the work
grows with the square of the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["agreements", "by_counts", "by_rows"]

_CELLS = 16_000_000  # of the largest matrix that is held, 128 MB


def agreements(scores: ArrayLike, people: ArrayLike) -> NDArray[np.float64]:
    """Return (4,): Pearson's r, Spearman's rho, Kendall's tau-b and pairwise accuracy.

    Scores that are all alike tell nothing apart: 0, 0, 0 and .5. Of people's that are all alike nothing can be told:
    all four are NaN.

    Args:
        scores: (rows,) a metric's.
        people: (rows,) people's.
    """
    x, y = np.asarray(scores, np.float64), np.asarray(people, np.float64)
    found: NDArray[np.float64] = by_counts(x, y, np.ones((1, len(x))))[0]
    return found


def by_counts(x: NDArray[np.float64], y: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (draws, 4) of (rows,) scores of a metric and of people, and (draws, rows) how often each is drawn."""
    draws, rows = counts.shape
    pairs = np.zeros((3, draws))
    ranks = np.zeros((2, draws, rows))
    step = max(1, _CELLS // max(1, rows))
    for at in range(0, rows, step):
        some = slice(at, at + step)
        of_x, of_y = (np.sign(column[some, None] - column[None]) for column in (x, y))
        own = counts[:, some]
        for number, told in enumerate((of_x * of_y, abs(of_x), abs(of_y))):
            pairs[number] += np.einsum("dr,dr->d", own @ told, counts) / 2
        ranks[0][:, some], ranks[1][:, some] = counts @ of_x.T / 2, counts @ of_y.T / 2
    total = counts.sum(axis=1)
    plain = _weighted(np.broadcast_to(x, counts.shape), np.broadcast_to(y, counts.shape), counts, total)
    return _four(plain, _weighted(ranks[0], ranks[1], counts, total), *pairs)


def by_rows(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (draws, 4) of (draws, rows) scores and people's, of few rows: other numbers in every draw."""
    draws, rows = x.shape
    found = np.zeros((draws, 4))
    step = max(1, _CELLS // max(1, rows * rows))
    for at in range(0, draws, step):
        some = slice(at, at + step)
        of_x, of_y = (np.sign(column[some, :, None] - column[some, None, :]) for column in (x, y))
        pairs = [told.sum(axis=(1, 2)) / 2 for told in (of_x * of_y, abs(of_x), abs(of_y))]
        counts = np.ones(x[some].shape)
        total = counts.sum(axis=1)
        ranked = _weighted(of_x.sum(axis=2) / 2, of_y.sum(axis=2) / 2, counts, total)
        found[some] = _four(_weighted(x[some], y[some], counts, total), ranked, *pairs)
    return found


def _four(
    pearson: NDArray[np.float64],
    spearman: NDArray[np.float64],
    concordance: NDArray[np.float64],
    told: NDArray[np.float64],
    apart: NDArray[np.float64],
) -> NDArray[np.float64]:
    below = np.sqrt(told * apart)
    tau = np.divide(concordance, below, out=np.zeros_like(below), where=below > 0)
    # Somers' D has the pairs that people tell apart below; a metric's ties then are halves.
    somers = np.divide(concordance, apart, out=np.zeros_like(below), where=apart > 0)
    found = np.stack([pearson, spearman, tau, (1 + somers) / 2], axis=1)
    found[~(apart > 0)] = np.nan
    return found


def _weighted(
    x: NDArray[np.float64], y: NDArray[np.float64], counts: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (draws,) Pearson's r of (draws, rows) numbers that count as often as they are drawn."""
    centred = [one - ((counts * one).sum(axis=1) / total)[:, None] for one in (x, y)]
    shared, own, theirs = (
        (counts * a * b).sum(axis=1)
        for a, b in ((centred[0], centred[1]), (centred[0], centred[0]), (centred[1], centred[1]))
    )
    below = np.sqrt(own * theirs)
    # Numbers that differ by rounding alone tell nothing apart.
    least = 1e-12 * np.sqrt((counts * x * x).sum(axis=1) * (counts * y * y).sum(axis=1))
    found = np.divide(shared, below, out=np.zeros_like(below), where=below > least)
    return np.asarray(np.clip(found, -1, 1))
