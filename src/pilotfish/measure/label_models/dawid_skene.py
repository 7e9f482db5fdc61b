"""Dawid-Skene: each source has its own confusion matrix, found by EM.

Source: Dawid and Skene 1979, Maximum likelihood estimation of observer error-rates using the EM algorithm, section 2
(eqs. 2.3 to 2.5), in log space.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._table_model import ClassPrior, TableModel, climb, fixed_prior
from pilotfish.measure.votes import Votes

__all__ = ["DawidSkene"]


class DawidSkene(TableModel):
    """Confusion matrices and class shares of the greatest likelihood, from majority on, by EM.

    Assumes that sources err independently of one another given the class, and that which rows a source speaks of says
    nothing of their class (`abstain="missing"`). A source that can only vote for one class, as a keyword rule, says
    nothing under that assumption: for such use `abstain="vote"`, where staying silent is an answer like any other.
    A soft vote is one that was not seen for certain.

    Args:
        smoothing: what is added to every count of a table (0 is the paper's maximum likelihood).
        prior: "learn", "uniform", or one probability a class.
        abstain: "missing" or "vote".
        max_iter: the most EM steps.
        tol: EM stops when the log-likelihood rises by this much a row or less, in nats.

    Attributes:
        confusion_: (sources, true classes, voted classes), given that there is a vote.
        table_: the same; where abstaining is a vote, with a last column for it, and rows that sum to 1 with it.
        objective_: the log-likelihood (with smoothing: plus the tables' log prior density, up to a constant) at each
            step; it never falls.
        converged_: whether it stopped by `tol`.
    """

    kind = "dawid-skene"
    table_: NDArray[np.float64]

    def __init__(
        self,
        smoothing: float = 0.01,
        prior: ClassPrior = "learn",
        abstain: Literal["missing", "vote"] = "missing",
        max_iter: int = 100,
        tol: float = 1e-6,
    ) -> None:
        self.smoothing = smoothing
        self.prior = prior
        self.abstain = abstain
        self.max_iter = max_iter
        self.tol = tol

    def _checked(self) -> None:
        if not self.smoothing >= 0:
            raise ConfigError(f"smoothing is 0 or more, not {self.smoothing}")
        if self.abstain not in ("missing", "vote"):
            raise ConfigError(f'abstain is "missing" or "vote", not {self.abstain!r}')

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> NDArray[np.float64]:
        if self.abstain == "missing":
            self._two_sided(votes)
        fixed = fixed_prior(self.prior, len(votes.classes))
        belief = _tables.start(votes, truth)
        # Where silence is an answer, a row on which all are silent has been answered too.
        heard = votes.voted | (truth >= 0) | (self.abstain == "vote")
        log_table: NDArray[np.float64] | None = None

        def step() -> float:
            nonlocal belief, log_table
            counts = _tables.counted(votes, belief, log_table, abstain=self.abstain == "vote")
            self.table_ = _tables.normal(counts + self.smoothing)
            self.prior_ = _tables.normal(belief.sum(axis=0)) if fixed is None else fixed
            log_table = np.log(self.table_)
            found = _tables.scores(votes, log_table)
            belief, evidence = _tables.posterior(found, self._log_prior(), truth)
            belief[~heard] = 0.0
            return float(evidence[heard].sum() + self.smoothing * log_table.sum())

        self.objective_, self.converged_ = climb(step, int(heard.sum()), self.max_iter, self.tol)
        self.confusion_ = _tables.normal(self.table_[:, :, : len(votes.classes)])
        return belief

    def _log_table(self) -> NDArray[np.float64]:
        return np.log(self.table_)
