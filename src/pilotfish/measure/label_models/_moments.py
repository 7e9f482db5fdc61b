"""Covariances of sources' votes for one class, and the rank-one matrix that they are but for noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.measure.votes import Votes

__all__ = ["Moments", "completed", "moments"]

Floats = NDArray[np.float64]
# The strongest correlation with the class that is believed.
MOST = 0.999


@dataclass(frozen=True)
class Moments:
    """Indicators of votes and how they go together.

    Attributes:
        source: (indicators,) whose each is.
        mean: (indicators,)
        variance: (indicators,)
        correlation: (indicators, indicators), 0 where a pair does not count.
        rows: (indicators, indicators) how many rows a pair rests on; 0 for one source's own, or fewer than 3 rows.
    """

    source: NDArray[np.int64]
    mean: Floats
    variance: Floats
    correlation: Floats
    rows: Floats

    @property
    def signal(self) -> float:
        """How far the squared correlations are above what independent votes would show, in standard errors.

        Rows times a squared correlation has mean 1 under independence, and a variance that grows where votes are rare.
        """
        upper = np.triu(self.rows, 1)
        counted = upper > 0
        if not counted.any():
            return 0.0
        # The fourth moment over the variance squared, of an indicator of that variance.
        tails = (1 - 3 * self.variance) / np.maximum(self.variance, 1e-12)
        rows = upper[counted]
        spread = 2 + np.maximum(np.multiply.outer(tails, tails)[counted] - 3, 0) / rows
        return float((rows * self.correlation[counted] ** 2 - 1).sum() / np.sqrt(spread.sum()))

    def misfit(self, part: Floats) -> float:
        """Return the mean of rows times squared residuals, which is about 1 where the rank-one matrix is all."""
        counted = np.triu(self.rows, 1) > 0
        left = self.correlation - np.multiply.outer(part, part)
        return float((self.rows * left**2)[counted].mean())


def moments(votes: Votes, label: int, *, silent: bool) -> Moments:
    """Return the moments of "votes for class `label`", and where silence counts of "votes for another" too.

    Where silence counts they are over all rows, else over the rows on which both of a pair voted.
    """
    sparse = need("scipy.sparse", "train")
    s = len(votes.sources)
    own = votes.label == label
    shape = (votes.rows, s)
    this = sparse.csr_matrix((votes.share[own], (votes.row[own], votes.source[own])), shape=shape)
    first = votes.starts
    said = sparse.csr_matrix((np.ones(len(first)), (votes.row[first], votes.source[first])), shape=shape)
    if silent:
        given = sparse.hstack([this, said - this]).tocsr()
        source = np.tile(np.arange(s), 2)
        n = float(votes.rows)
        mean = np.asarray(given.sum(axis=0)).ravel() / n
        both = (given.T @ given).toarray() / n
        variance = np.diag(both) - mean**2
        covariance, rows = both - np.multiply.outer(mean, mean), np.full(both.shape, n)
    else:
        source = np.arange(s)
        rows = (said.T @ said).toarray()
        seen = np.maximum(np.diag(rows), 1.0)
        mean = np.asarray(this.sum(axis=0)).ravel() / seen
        variance = np.asarray(this.multiply(this).sum(axis=0)).ravel() / seen - mean**2
        among = (this.T @ said).toarray()  # of a's votes for the class, those on rows where b votes at all
        n_pair = np.maximum(rows, 2.0)
        covariance = ((this.T @ this).toarray() - among * among.T / n_pair) / (n_pair - 1)
    variance = np.maximum(variance, 0.0)
    counted = (source[:, None] != source[None, :]) & (rows >= 3)
    counted &= np.multiply.outer(variance, variance) > 1e-12
    scale = np.sqrt(np.maximum(np.multiply.outer(variance, variance), 1e-300))
    correlation = np.where(counted, np.clip(covariance / scale, -1, 1), 0.0)
    return Moments(source, mean, variance, correlation, np.where(counted, rows, 0.0))


def completed(found: Moments, max_iter: int, *, adversaries: bool = False) -> tuple[Floats, Floats]:
    """Return u (indicators,) with u_a u_b nearest to the correlations, pairs by their rows, and u's standard errors.

    Coordinate descent: each step is exact, so the weighted squares never rise. u is a correlation with the class, so
    within -1 and 1. Of the two signs that fit alike, it has the one by which votes for the class speak for it; and
    without adversaries no vote speaks for what it says it does not.

    Args:
        found: of one class; the indicators of votes for it come first, one a source.
        max_iter: the most sweeps.
        adversaries: whether a source's votes may speak against what they say.
    """
    weight, weighted = found.rows, found.rows * found.correlation
    if not weight.any():
        return np.zeros(len(weight)), np.full(len(weight), np.inf)
    sources = int(found.source.max()) + 1
    says = np.where(np.arange(len(weight)) < sources, 1.0, -1.0)
    _, vectors = np.linalg.eigh(weighted)
    lead = vectors[:, -1] * np.sign(says @ (vectors[:, -1] * weight.sum(axis=1)) or 1.0)
    size = lead @ weighted @ lead / max(float((lead**2) @ weight @ (lead**2)), 1e-300)
    low, high = (np.full(len(says), -MOST), np.full(len(says), MOST))
    if not adversaries:
        low, high = np.where(says > 0, 0.0, -MOST), np.where(says > 0, MOST, 0.0)
    part = np.clip(lead * np.sqrt(max(size, 1e-12)), low, high)
    for _ in range(max_iter):
        before = part.copy()
        for at in np.flatnonzero(weight.any(axis=1)):
            power = float(weight[at] @ part**2)
            if power > 0:
                part[at] = min(max(float(weighted[at] @ part) / power, low[at]), high[at])
        if np.abs(part - before).max() < 1e-10:
            break
    if float(says @ (part * weight.sum(axis=1))) < 0:
        part = -part
    power = weight @ part**2
    noise = np.where(power > 0, 1 / np.sqrt(np.maximum(power, 1e-300)), np.inf)
    return np.where(power > 0, part, 0.0), noise
