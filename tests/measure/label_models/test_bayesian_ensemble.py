from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import gammaln

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.label_models import BayesianEnsemble, DawidSkene
from pilotfish.measure.label_models._dirichlet import log_means, overlap
from pilotfish.measure.votes import Votes
from tests.measure.label_models.planted import crowd, rules


def test_means_and_divergences_against_draws() -> None:
    dice = np.random.default_rng(0)
    counts, prior = np.array([3.0, 1.5, 0.7]), np.array([1.0, 1.0, 2.0])
    drawn = dice.dirichlet(counts, 200_000)
    assert log_means(counts) == pytest.approx(np.log(drawn).mean(axis=0), abs=0.02)

    def log_density(a: np.ndarray) -> np.ndarray:
        return np.asarray(gammaln(a.sum()) - gammaln(a).sum() + ((a - 1) * np.log(drawn)).sum(axis=1))

    assert overlap(counts, prior) == pytest.approx((log_density(counts) - log_density(prior)).mean(), abs=0.02)
    assert overlap(counts, counts) == pytest.approx(0)


@pytest.mark.parametrize("abstain", ["missing", "vote"])
def test_the_bound_never_falls_and_stays_below_the_evidence(abstain: str) -> None:
    for seed in range(3):
        votes = crowd(120, (0.8, 0.5, 0.4, 0.7), seed=seed).votes
        model = BayesianEnsemble(abstain=abstain, tol=0, max_iter=60).fit(votes, {3: 0})  # type: ignore[arg-type]
        assert np.diff(model.objective_).min() > -1e-7
    # By enumeration of all true classes of four rows: each term is a product of Dirichlet-multinomials.
    votes = Votes.from_table([[0, 0], [1, 1], [0, 1], [1, -1]])
    model = BayesianEnsemble().fit(votes)
    terms = []
    for truth in product(range(2), repeat=4):
        log = _multinomial(np.bincount(truth, minlength=2), np.ones(2))
        for s, c in product(range(2), range(2)):
            said = [
                int(k) for i, t, k in zip(votes.row, votes.source, votes.label, strict=True) if t == s and truth[i] == c
            ]
            log += _multinomial(np.bincount(said, minlength=2), 1 + np.eye(2)[c])
        terms.append(log)
    evidence = float(np.logaddexp.reduce(terms))
    assert evidence - 1.0 < model.objective_[-1] < evidence


def _multinomial(counts: np.ndarray, prior: np.ndarray) -> float:
    def beta(a: np.ndarray) -> float:
        return float(gammaln(a).sum() - gammaln(a.sum()))

    return beta(counts + prior) - beta(prior)


def test_the_tables_are_prior_and_expected_counts() -> None:
    votes = crowd(80).votes
    model = BayesianEnsemble(tol=0, max_iter=300).fit(votes)
    wanted = 1 + np.tile(np.eye(3), (5, 1, 1))
    for i, s, c in zip(votes.row, votes.source, votes.label, strict=True):
        wanted[s, :, c] += model.posterior_[i]
    assert model.counts_ == pytest.approx(wanted, abs=1e-3)
    assert model.class_counts_ == pytest.approx(1 + np.nansum(model.posterior_, axis=0), abs=1e-3)


def test_planted_tables_come_back_and_few_votes_stay_near_the_prior() -> None:
    given = crowd(3000)
    model = BayesianEnsemble().fit(given.votes)
    assert np.abs(model.confusion_ - given.tables).max() < 0.1
    one = Votes.from_columns([*given.votes.row, 0], [*given.votes.source, 5], [*given.votes.label, 2], classes=range(3))
    rare = BayesianEnsemble().fit(one).confusion_[5]
    assert 0.4 < rare[2, 2] < 0.61
    assert DawidSkene().fit(one).confusion_[5][2, 2] > 0.9


def test_soft_votes_add_their_shares() -> None:
    votes = Votes.from_soft(np.tile([0.7, 0.3], (10, 2, 1)))
    model = BayesianEnsemble(max_iter=1).fit(votes)
    assert model.counts_[0] == pytest.approx(np.array([[2 + 7 * 0.7, 1 + 7 * 0.3], [1 + 3 * 0.7, 2 + 3 * 0.3]]))


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        BayesianEnsemble(right=0).fit(crowd(20).votes)
    with pytest.raises(ConfigError, match="abstain"):
        BayesianEnsemble(abstain="x").fit(crowd(20).votes)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="one class only"):
        BayesianEnsemble().fit(rules(100).votes)
