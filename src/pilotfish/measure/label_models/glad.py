"""GLAD: how able each source is, and how easy each row.

Source: Whitehill et al. 2009, Whose vote should count more: optimal integration of labels from labelers of unknown
expertise, section 2 (eq. 1) and section 3 (eqs. 2 to 4); several classes as in its supplement, errors even.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._table_model import ClassPrior, fixed_prior
from pilotfish.measure.label_models.base import LabelModel
from pilotfish.measure.votes import Votes

__all__ = ["Glad"]

Floats = NDArray[np.float64]
# The priors have standard deviation 1, so these are never reached by votes that mean anything; they keep exp finite.
ABILITY, EASE = (-20.0, 20.0), (-8.0, 8.0)
# The most steps inside one of EM.
INNER = 25


class Glad(LabelModel):
    """A vote is right with probability 1 / (1 + exp(-ability * ease)), ability of the source, ease > 0 of the row.

    Abilities and log-eases have normal priors of standard deviation 1. EM climbs their posterior, with L-BFGS-B within
    bounds in place of the paper's conjugate gradients; climbing both at once would be quicker, and leap from majority's
    neighbourhood to where all classes are turned around. Assumes errors even over the other classes, independent given
    the row's ease. A soft vote was for one class, and which is learned along: divided by its shares, a source's doubt
    would be read as votes that are wrong, and with a few cautious classifiers all abilities sink below 0. A row that
    `fit` did not see gets its own ease, with the abilities held.

    Args:
        ability: mean of the abilities' prior.
        ease: mean of the log-eases' prior.
        prior: "uniform" or one probability a class.
        max_iter: the most EM steps.
        tol: EM stops when the objective rises by this much a row or less, in nats.

    Attributes:
        ability_: (sources,); below 0 for a source that is more often wrong than evenly.
        ease_: (rows,) of the rows in `fit`, above 0; low for a hard row. Not saved.
        objective_: log-likelihood plus log prior density, up to a constant, at each step; it never falls.
        converged_: whether it stopped by `tol`.
    """

    kind = "glad"

    def __init__(
        self,
        ability: float = 1.0,
        ease: float = 1.0,
        prior: ClassPrior = "uniform",
        max_iter: int = 100,
        tol: float = 1e-5,
    ) -> None:
        self.ability = ability
        self.ease = ease
        self.prior = prior
        self.max_iter = max_iter
        self.tol = tol

    def _checked(self) -> None:
        if self.prior == "learn":
            raise ConfigError('glad: prior is "uniform" or one probability a class')
        if self.max_iter < 1 or self.tol < 0:
            raise ConfigError(f"max_iter is 1 or more and tol 0 or more, not {self.max_iter} and {self.tol}")

    @property
    def accuracy_(self) -> Floats:
        """(sources,) the probability of a right vote on a row of the prior's mean ease."""
        return _sigmoid(self.ability_ * np.exp(self.ease))

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> Floats:
        self._two_sided(votes)
        prior = fixed_prior(self.prior, len(votes.classes))
        assert prior is not None
        self.prior_ = prior
        given = _Rows(votes, np.log(prior), truth, self.ability, self.ease)
        at = np.full(len(votes.sources), self.ability), np.full(votes.rows, self.ease)
        belief, value = given.expected(*at)
        self.objective_, self.converged_ = [value], False
        while not self.converged_ and len(self.objective_) <= self.max_iter:
            at = given.climbed(belief, *at)
            belief, value = given.expected(*at)
            self.objective_.append(value)
            self.converged_ = value - self.objective_[-2] <= self.tol * given.heard.sum()
        self.ability_, self.ease_ = at[0], np.exp(at[1])
        return belief

    def _posterior(self, votes: Votes) -> Floats:
        given = _Rows(votes, np.log(self.prior_), np.full(votes.rows, -1), self.ability, self.ease)
        ease = np.full(votes.rows, self.ease)
        belief, value = given.expected(self.ability_, ease)
        for _ in range(self.max_iter):
            before = value
            ease = given.climbed(belief, self.ability_, ease, held=True)[1]
            belief, value = given.expected(self.ability_, ease)
            if value - before <= self.tol * given.heard.sum():
                break
        return belief

    def _arrays(self) -> dict[str, Floats]:
        return {name: value for name, value in super()._arrays().items() if name != "ease"}


class _Rows:
    """Votes with what is known of them: the two steps of EM."""

    def __init__(self, votes: Votes, log_prior: Floats, truth: NDArray[np.int64], ability: float, ease: float) -> None:
        self.log_prior, self.truth = log_prior, truth
        self.rows, self.classes, self.means = votes.rows, len(votes.classes), (ability, ease)
        self.heard = votes.voted | (truth >= 0)
        row, source, shares = votes.unsure
        # Votes that were seen, then those of which only the shares are known.
        seen = np.flatnonzero(np.repeat(many := np.diff(np.append(votes.starts, len(votes.row))), many) == 1)
        self.label, self.hard = votes.label[seen], len(seen)
        self.row, self.source = np.append(votes.row[seen], row), np.append(votes.source[seen], source)
        with np.errstate(divide="ignore"):
            self.shares, self.rest = np.log(shares), np.log(np.maximum(1 - shares, 0))
        self.right = np.zeros((len(row), self.classes))

    def expected(self, ability: Floats, log_ease: Floats) -> tuple[Floats, float]:
        """Return the classes' posterior (rows, classes), and log-likelihood plus log prior density.

        How likely each soft vote was right, were the truth each class, is kept in `right` for the other step.
        """
        k, rows = self.classes, self.rows
        x = ability[self.source] * np.exp(log_ease)[self.row]
        # log s(x) where the vote is right, log s(-x) - log(K - 1) where it is wrong; the two differ by x + log(K - 1).
        wrong = -np.logaddexp(0.0, x) - np.log(k - 1)
        row, sure = self.row[: self.hard], x[: self.hard]
        right = np.bincount(row * k + self.label, sure + np.log(k - 1), rows * k).reshape(rows, k)
        found: Floats = right.astype(np.float64) + np.bincount(row, wrong[: self.hard], rows)[:, None]
        if self.hard < len(x):
            own = self.shares - np.logaddexp(0.0, -x[self.hard :])[:, None]
            either = np.logaddexp(own, self.rest + wrong[self.hard :, None])
            self.right = np.exp(own - either)
            np.add.at(found, self.row[self.hard :], either)
        belief, evidence = _tables.posterior(found, self.log_prior, self.truth)
        return belief, float(evidence[self.heard].sum()) - self._paid(ability, log_ease)

    def auxiliary(self, belief: Floats, ability: Floats, log_ease: Floats) -> tuple[float, Floats, Floats]:
        """Return Q but for what does not change, the expected log-likelihood plus log prior density, and its gradients.

        Gradients are by ability and by log-ease: the paper's eqs. 3 and 4, the latter times the ease.
        """
        ease = np.exp(log_ease)
        x = ability[self.source] * ease[self.row]
        sure = belief[self.row[: self.hard], self.label]
        own = np.append(sure, (belief[self.row[self.hard :]] * self.right).sum(axis=1))
        value = float((own * x - np.logaddexp(0.0, x)).sum()) - self._paid(ability, log_ease)
        pull = own - _sigmoid(x)
        by_ability = np.bincount(self.source, pull * ease[self.row], len(ability)) - (ability - self.means[0])
        by_ease = np.bincount(self.row, pull * x, self.rows) - (log_ease - self.means[1])
        return value, by_ability, by_ease

    def climbed(
        self, belief: Floats, ability: Floats, log_ease: Floats, *, held: bool = False
    ) -> tuple[Floats, Floats]:
        """Return abilities and log-eases that have more of Q, from where they are; abilities stay if they are held."""
        sources = 0 if held else len(ability)
        optimize = need("scipy.optimize", "train")

        def down(x: Floats) -> tuple[float, Floats]:
            value, by_ability, by_ease = self.auxiliary(belief, ability if held else x[:sources], x[sources:])
            return -value, -np.concatenate([by_ability[:sources], by_ease])

        first = np.concatenate([ability[:sources], log_ease])
        bounds = [ABILITY] * sources + [EASE] * len(log_ease)
        told = optimize.minimize(down, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": INNER})
        if told.fun > down(first)[0]:
            return ability, log_ease
        return ability if held else told.x[:sources].copy(), told.x[sources:].copy()

    def _paid(self, ability: Floats, log_ease: Floats) -> float:
        return float(((ability - self.means[0]) ** 2).sum() + ((log_ease - self.means[1]) ** 2).sum()) / 2


def _sigmoid(x: Any) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -np.asarray(x))))
