"""Soft ensemble: a distribution over each source's soft votes, given the true class.

Sources: Trick and Rothkopf 2022, Bayesian classifier fusion with an explicit model of correlation, section 3.1 (the
independent fusion model: a Dirichlet for each classifier and class), here without truth, by EM; Minka 2000, Estimating
a Dirichlet distribution, section 1 (the fixed point).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._dirichlet import fitted, log_means, log_norm
from pilotfish.measure.label_models._table_model import ClassPrior, climb, fixed_prior
from pilotfish.measure.label_models.base import LabelModel
from pilotfish.measure.votes import Votes

__all__ = ["SoftEnsemble"]

Floats = NDArray[np.float64]
# A source with fewer different vectors than this has steps, which no Dirichlet has.
FEW = 20


class SoftEnsemble(LabelModel):
    """What a source's .9 is worth is learned: its probability vectors have a Dirichlet for each true class.

    Elsewhere a soft vote is a vote that was not seen for certain, so that a source which always says .51 and is always
    right counts little, whatever is learned of it. Here it is trusted, and one that says .99 and is right half the time
    is not. A Dirichlet is smooth, so a source that knows few certainties (hard votes, or fewer than 20 vectors)
    has a table in its place, as in `BayesianEnsemble`. Assumes sources that are independent given the class, and that
    silence says nothing.

    Args:
        strength: votes that each Dirichlet and each row of a table has beside a source's own: those of a source that
            is a little better than chance, Dirichlet(2 for the true class, 1 for each other).
        floor: what shares are raised to (and all divided by their sum), as a Dirichlet has no share of nought.
        prior: "learn", "uniform", or one probability a class.
        max_iter: the most EM steps.
        tol: EM stops when the objective rises by this much a row or less, in nats.

    Attributes:
        shape_: (sources, true classes, classes) the Dirichlets' parameters; of a table its expected counts.
        tabled_: (sources,) whether a source has a table.
        confusion_: (sources, true classes, classes) the mean share that a source gives.
        accuracy_: (sources,) the mean share that it gives the true class.
        objective_: the log-likelihood plus log prior density, up to a constant, at each step; it never falls.
        converged_: whether it stopped by `tol`.
    """

    kind = "soft-ensemble"

    def __init__(
        self,
        strength: float = 5.0,
        floor: float = 0.01,
        prior: ClassPrior = "learn",
        max_iter: int = 100,
        tol: float = 1e-6,
    ) -> None:
        self.strength = strength
        self.floor = floor
        self.prior = prior
        self.max_iter = max_iter
        self.tol = tol

    def _checked(self) -> None:
        if self.strength <= 0:
            raise ConfigError(f"strength is above 0, not {self.strength}")
        if not 0 < self.floor < 0.5:
            raise ConfigError(f"floor is above 0 and below .5, not {self.floor}")

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> Floats:
        self._two_sided(votes)
        k, s = len(votes.classes), len(votes.sources)
        fixed = fixed_prior(self.prior, k)
        self.tabled_ = _few(votes)
        said = _Said(votes, self.tabled_, self.floor)
        before = np.tile(1 + np.eye(k), (s, 1, 1))
        self.shape_ = before
        mean_before = log_means(before)
        belief = _tables.start(votes, truth)
        heard = votes.voted | (truth >= 0)
        log_table: Floats | None = None

        def step() -> float:
            nonlocal belief, log_table
            weight, logs = said.expected(belief)
            counts = _tables.counted(said.tabled, belief, log_table) + self.strength * before / (k + 1)
            soft = fitted(
                (logs + self.strength * mean_before) / (weight + self.strength)[:, :, None], first=self.shape_
            )
            self.shape_ = np.where(self.tabled_[:, None, None], counts, soft)
            self.prior_ = _tables.normal(belief.sum(axis=0)) if fixed is None else fixed
            log_table = np.log(_tables.normal(self.shape_))
            belief, evidence = _tables.posterior(self._scores(said), np.log(self.prior_), truth)
            belief[~heard] = 0.0
            return float(evidence[heard].sum()) + self._prior_density(before, mean_before)

        self.objective_, self.converged_ = climb(step, int(heard.sum()), self.max_iter, self.tol)
        self.confusion_ = _tables.normal(self.shape_)
        self.accuracy_ = np.asarray(np.einsum("skk,k->s", self.confusion_, self.prior_))
        return belief

    def _posterior(self, votes: Votes) -> Floats:
        found = self._scores(_Said(votes, self.tabled_, self.floor))
        return _tables.posterior(found, np.log(np.maximum(self.prior_, _tables.LEAST)))[0]

    def _scores(self, said: _Said) -> Floats:
        """Return (rows, classes) log-densities of votes, and log-probabilities where there is a table."""
        found = _tables.scores(said.tabled, np.log(_tables.normal(self.shape_)))
        norm = log_norm(self.shape_)
        for at in range(found.shape[1]):
            each = norm[said.source, at] + (said.logs * (self.shape_[said.source, at] - 1)).sum(axis=1)
            found[:, at] += np.bincount(said.row, each, len(found))
        return found

    def _prior_density(self, before: Floats, mean_before: Floats) -> float:
        k = before.shape[1]
        table = (before / (k + 1) * np.log(_tables.normal(self.shape_))).sum(axis=(1, 2))
        soft = (log_norm(self.shape_) + (self.shape_ * mean_before).sum(axis=2)).sum(axis=1)
        return float(self.strength * np.where(self.tabled_, table, soft).sum())


class _Said:
    """Votes that a table takes, and the others as whole probability vectors, one a vote."""

    def __init__(self, votes: Votes, tabled: NDArray[np.bool_], floor: float) -> None:
        own = tabled[votes.source]
        self.tabled, soft = _some(votes, own), _some(votes, ~own)
        self.row, self.source = soft.row[soft.starts], soft.source[soft.starts]
        place = np.zeros(len(soft.row), np.int64)
        place[soft.starts[1:]] = 1
        raised = np.full((len(soft), len(votes.classes)), floor)
        raised[np.cumsum(place), soft.label] = np.maximum(soft.share, floor)
        self.logs = np.log(raised / raised.sum(axis=1, keepdims=True))

    def expected(self, belief: Floats) -> tuple[Floats, Floats]:
        """Return each source's votes under each class (sources, classes), and the sums of their logarithms (..., k)."""
        s, k = len(self.tabled.sources), belief.shape[1]
        weight, logs = np.zeros((s, k)), np.zeros((s, k, k))
        for at in range(k):
            own = belief[self.row, at]
            weight[:, at] = np.bincount(self.source, own, s)
            for other in range(k):
                logs[:, at, other] = np.bincount(self.source, own * self.logs[:, other], s)
        return weight, logs


def _some(votes: Votes, kept: NDArray[np.bool_]) -> Votes:
    pieces = votes.row[kept], votes.source[kept], votes.label[kept], votes.share[kept]
    return Votes(*pieces, votes.classes, votes.sources, votes.ids)


def _few(votes: Votes) -> NDArray[np.bool_]:
    """Return which sources say few different things: (sources,)."""
    _, source, shares = votes.unsure
    found: NDArray[np.bool_] = np.bincount(source, minlength=len(votes.sources)) == 0
    for at in np.flatnonzero(~found):
        found[at] = len(np.unique(shares[source == at].round(3), axis=0)) < FEW
    return found
