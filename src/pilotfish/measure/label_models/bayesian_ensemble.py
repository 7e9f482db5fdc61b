"""Bayesian ensemble: Dawid-Skene's tables with Dirichlet priors, by variational Bayes.

Sources: Kim and Ghahramani 2012, Bayesian classifier combination (independent BCC); Simpson et al. 2013, Dynamic
Bayesian combination of multiple imperfect classifiers, section 3 (the variational updates).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._dirichlet import log_means, overlap
from pilotfish.measure.label_models._table_model import TableModel, climb
from pilotfish.measure.votes import Votes

__all__ = ["BayesianEnsemble"]

Floats = NDArray[np.float64]


class BayesianEnsemble(TableModel):
    """Dawid-Skene with a Dirichlet posterior in place of a point for every row of every table, and for class shares.

    A source with few votes stays near the prior, which takes it for a little better than chance.

    Assumes independent errors given the class. A soft vote is one that was not seen for certain: it adds fractions to
    its source's rows, its shares at first and then by what the source is likely to have said.

    Args:
        right: prior votes for the true class, in each row of a table.
        wrong: prior votes for each other class (and for silence, where that is a vote).
        class_count: prior rows of each class.
        abstain: "missing", or "vote" where silence is an answer like any other (see `DawidSkene`).
        max_iter: the most variational steps.
        tol: they end when the evidence's lower bound rises by this much a row or less, in nats.

    Attributes:
        counts_: (sources, true classes, voted classes [+ silence]) the posterior's parameters.
        class_counts_: (classes,) those of the class shares.
        confusion_: (sources, true classes, voted classes) mean, given that there is a vote.
        objective_: the evidence's lower bound at each step; it never falls.
        converged_: whether it stopped by `tol`.
    """

    kind = "bayesian-ensemble"
    counts_: Floats
    class_counts_: Floats

    def __init__(
        self,
        right: float = 2.0,
        wrong: float = 1.0,
        class_count: float = 1.0,
        abstain: Literal["missing", "vote"] = "missing",
        max_iter: int = 200,
        tol: float = 1e-6,
    ) -> None:
        self.right = right
        self.wrong = wrong
        self.class_count = class_count
        self.abstain = abstain
        self.max_iter = max_iter
        self.tol = tol

    def _checked(self) -> None:
        if min(self.right, self.wrong, self.class_count) <= 0:
            raise ConfigError("right, wrong and class_count are above 0")
        if self.abstain not in ("missing", "vote"):
            raise ConfigError(f'abstain is "missing" or "vote", not {self.abstain!r}')

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> Floats:
        if self.abstain == "missing":
            self._two_sided(votes)
        k, silent = len(votes.classes), self.abstain == "vote"
        before = np.full((k, k + silent), self.wrong)
        before[np.arange(k), np.arange(k)] = self.right
        shares = np.full(k, self.class_count)
        belief = _tables.start(votes, truth)
        heard = votes.voted | (truth >= 0) | silent
        log_table: Floats | None = None

        def step() -> float:
            nonlocal belief, log_table
            self.counts_ = before + _tables.counted(votes, belief, log_table, abstain=silent)
            self.class_counts_ = shares + belief.sum(axis=0)
            log_table = self._log_table()
            found = _tables.scores(votes, log_table)
            belief, evidence = _tables.posterior(found, self._log_prior(), truth)
            belief[~heard] = 0.0
            return float(
                evidence[heard].sum() - overlap(self.counts_, before).sum() - overlap(self.class_counts_, shares)
            )

        self.objective_, self.converged_ = climb(step, int(heard.sum()), self.max_iter, self.tol)
        self.prior_ = self.class_counts_ / self.class_counts_.sum()
        self.confusion_ = _tables.normal(self.counts_[:, :, :k])
        return belief

    def _log_table(self) -> Floats:
        return log_means(self.counts_)

    def _log_prior(self) -> Floats:
        return log_means(self.class_counts_)
