"""MACE: a source either knows or spams, and a spammer has habits.

Source: Hovy et al. 2013, Learning whom to trust with MACE, section 2 (the model) and section 2.2 (EM with smoothing
0.01 over the classes; variational Bayes with Beta(0.5, 0.5) and Dirichlet(10) priors, ten restarts of 50 iterations).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._dirichlet import log_means, overlap
from pilotfish.measure.label_models._table_model import ClassPrior, TableModel, climb, fixed_prior
from pilotfish.measure.votes import Votes

__all__ = ["Mace"]

Floats = NDArray[np.float64]


class Mace(TableModel):
    """A source gives the true class with probability `competence_`, or else a class drawn from its own `habits_`.

    So a source that always says the same is seen through, and a wrong vote is never evidence of its own. The first
    start is even, which is majority, and the others are drawn about it; the one of the greatest evidence is kept.
    Assumes sources that are independent given the class, and that silence says nothing. A soft vote is one that
    was not seen for certain.

    Args:
        method: "vb" (variational Bayes) or "em".
        restarts: starts, the even one among them.
        max_iter: the most steps a start.
        tol: a start ends when its objective rises by this much a row or less, in nats.
        smoothing: of EM, over all classes of a source's habits.
        competence_prior: of VB: the Beta prior of knowing and of spamming; below 1 most sources do one of the two.
        habits_prior: of VB: the Dirichlet prior of habits, a class.
        prior: "uniform", as in the paper, "learn", or one probability a class.
        seed: of the drawn starts.

    Attributes:
        competence_: (sources,) mean.
        habits_: (sources, classes) mean.
        table_: (sources, true classes, voted classes) what votes are weighed by; of VB not normalised, as expectations
            of logarithms are not.
        objective_: of the start that was kept: the evidence's lower bound (VB), or log-likelihood plus smoothing's log
            prior density up to a constant (EM); it never falls.
        objectives_: (restarts,) each start's last.
        converged_: whether the start that was kept ended by `tol`.
    """

    kind = "mace"

    def __init__(
        self,
        method: Literal["vb", "em"] = "vb",
        restarts: int = 10,
        max_iter: int = 50,
        tol: float = 1e-6,
        smoothing: float = 0.01,
        competence_prior: tuple[float, float] = (0.5, 0.5),
        habits_prior: float = 10.0,
        prior: ClassPrior = "uniform",
        seed: int = 0,
    ) -> None:
        self.method = method
        self.restarts = restarts
        self.max_iter = max_iter
        self.tol = tol
        self.smoothing = smoothing
        self.competence_prior = competence_prior
        self.habits_prior = habits_prior
        self.prior = prior
        self.seed = seed

    def _checked(self) -> None:
        if self.method not in ("vb", "em"):
            raise ConfigError(f'method is "vb" or "em", not {self.method!r}')
        if self.restarts < 1:
            raise ConfigError(f"restarts is 1 or more, not {self.restarts}")
        if min(*self.competence_prior, self.habits_prior) <= 0 or self.smoothing < 0:
            raise ConfigError("mace: priors are above 0 (two of competence) and smoothing is 0 or more")

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> Floats:
        k, s = len(votes.classes), len(votes.sources)
        dice = np.random.default_rng(self.seed)
        # Near even, as the authors' own programme starts: from far off, evidence is had by calling many spammers.
        starts = [(np.full(s, 0.5), np.full((s, k), 1.0 / k))]
        for _ in range(self.restarts - 1):
            knows, habits = 1 + 0.5 * dice.random((s, 2)), 1 + 0.5 * dice.random((s, k))
            starts.append((knows[:, 0] / knows.sum(axis=1), habits / habits.sum(axis=1, keepdims=True)))
        runs = [self._climbed(votes, truth, *each) for each in starts]
        self.objectives_ = np.array([run[0][-1] for run in runs])
        best = runs[int(self.objectives_.argmax())]
        (self.objective_, self.converged_), belief = best[:2], best[2]
        self.competence_, self.habits_, self.table_, self.prior_ = best[3:]
        self.confusion_ = _votes_table(self.competence_, 1 - self.competence_, self.habits_)
        return belief

    def _climbed(
        self, votes: Votes, truth: NDArray[np.int64], knows: Floats, habits: Floats
    ) -> tuple[list[float], bool, Floats, Floats, Floats, Floats, Floats]:
        """Climb from parameters; return objectives, whether done, posterior, competence, habits, table, prior."""
        k, heard = len(votes.classes), votes.voted | (truth >= 0)
        fixed, tiny = fixed_prior(self.prior, k), self.smoothing / k
        prior = np.full(k, 1.0 / k) if fixed is None else fixed
        weights = knows, 1 - knows, habits
        belief = np.zeros((votes.rows, k))
        told = np.zeros(0)  # what objectives add beside the evidence
        mean: tuple[Floats, Floats] = knows, habits

        def logs() -> Floats:
            return np.log(np.maximum(_votes_table(*weights), _tables.LOWEST))

        def expect() -> float:
            nonlocal belief
            found = _tables.scores(votes, logs())
            belief, evidence = _tables.posterior(found, np.log(prior), truth)
            belief[~heard] = 0.0
            return float(evidence[heard].sum() + told.sum())

        def step() -> float:
            nonlocal weights, told, mean, prior
            prior = _tables.normal(belief.sum(axis=0)) if fixed is None else fixed
            known, spammed = _shares(_tables.counted(votes, belief, logs()), *weights)
            if self.method == "em":
                both = np.stack([known.sum(axis=1), spammed.sum(axis=1)], axis=1) + tiny
                mean = _tables.normal(both)[:, 0], _tables.normal(spammed + tiny)
                weights = mean[0], 1 - mean[0], mean[1]
                told = tiny * np.array([np.log(np.maximum(one, 1e-300)).sum() for one in weights])
            else:
                knowing = np.array(self.competence_prior)
                counts = knowing + np.stack([known.sum(axis=1), spammed.sum(axis=1)], axis=1)
                drawn = self.habits_prior + spammed
                mean = counts[:, 0] / counts.sum(axis=1), _tables.normal(drawn)
                knows_or_not, habit = np.exp(log_means(counts)), np.exp(log_means(drawn))
                weights = knows_or_not[:, 0], knows_or_not[:, 1], habit
                told = -np.concatenate([overlap(counts, knowing), overlap(drawn, np.full(k, self.habits_prior))])
            return expect()

        expect()
        values, done = climb(step, int(heard.sum()), self.max_iter, self.tol)
        return values, done, belief, *mean, _votes_table(*weights), prior

    def _log_table(self) -> Floats:
        return np.log(np.maximum(self.table_, 1e-300))


def _votes_table(knows: Floats, spams: Floats, habits: Floats) -> Floats:
    """Return (sources, true, voted) probabilities: habits by a spammer, and the truth by one who knows."""
    k = habits.shape[1]
    return spams[:, None, None] * habits[:, None, :] + knows[:, None, None] * np.eye(k)


def _shares(counts: Floats, knows: Floats, spams: Floats, habits: Floats) -> tuple[Floats, Floats]:
    """Return expected votes out of knowledge and by spamming, (sources, classes) each, of expected counts by truth."""
    right = np.einsum("skk->sk", counts)
    chance = knows[:, None] / np.maximum(knows[:, None] + spams[:, None] * habits, 1e-300)
    known = right * chance
    return known, np.maximum(counts.sum(axis=1) - known, 0.0)
