"""One-coin: each source is right with one probability, found by EM.

Sources: Dawid and Skene 1979 with tied tables; Zhang et al. 2014, Spectral methods meet EM, section 2.3 (one-coin).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._one_coin_table import SURE, one_coin_table
from pilotfish.measure.label_models._table_model import ClassPrior, TableModel, climb, fixed_prior
from pilotfish.measure.votes import Votes

__all__ = ["OneCoin"]


class OneCoin(TableModel):
    """One accuracy a source, errors evenly over the other classes. One number a source needs few votes to learn.

    Assumes independent errors, and that silence says nothing. A soft vote is one that was not seen for
    certain.

    Args:
        smoothing: right and wrong votes, of each, that a source has beside its own.
        prior: "learn", "uniform", or one probability a class.
        max_iter: the most EM steps.
        tol: EM stops when the log-likelihood rises by this much a row or less, in nats.

    Attributes:
        confusion_: (sources, true classes, voted classes).
        objective_: the log-likelihood, plus the smoothing's log prior density up to a constant, at each step; it never
            falls.
        converged_: whether it stopped by `tol`.
    """

    kind = "one-coin"

    def __init__(
        self, smoothing: float = 0.01, prior: ClassPrior = "learn", max_iter: int = 100, tol: float = 1e-6
    ) -> None:
        self.smoothing = smoothing
        self.prior = prior
        self.max_iter = max_iter
        self.tol = tol

    def _checked(self) -> None:
        if not self.smoothing >= 0:
            raise ConfigError(f"smoothing is 0 or more, not {self.smoothing}")

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> NDArray[np.float64]:
        self._two_sided(votes)
        k = len(votes.classes)
        fixed = fixed_prior(self.prior, k)
        belief = _tables.start(votes, truth)
        heard = votes.voted | (truth >= 0)
        log_table: NDArray[np.float64] | None = None

        def step() -> float:
            nonlocal belief, log_table
            counts = _tables.counted(votes, belief, log_table)
            hits, total = np.einsum("skk->s", counts), counts.sum(axis=(1, 2))
            spread = total + 2 * self.smoothing
            # A source without votes, and without smoothing, is no better or worse than any: chance.
            accuracy = np.where(spread > 0, (hits + self.smoothing) / np.maximum(spread, _tables.LEAST), 1 / k)
            accuracy = np.clip(accuracy, SURE, 1 - SURE)
            self.confusion_ = one_coin_table(accuracy, k)
            self.prior_ = _tables.normal(belief.sum(axis=0)) if fixed is None else fixed
            log_table = self._log_table()
            found = _tables.scores(votes, log_table)
            belief, evidence = _tables.posterior(found, self._log_prior(), truth)
            belief[~heard] = 0.0
            return float(evidence[heard].sum() + self.smoothing * (np.log(accuracy) + np.log1p(-accuracy)).sum())

        self.objective_, self.converged_ = climb(step, int(heard.sum()), self.max_iter, self.tol)
        return belief

    def _log_table(self) -> NDArray[np.float64]:
        return np.log(self.confusion_)
