from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import dirichlet

from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import BayesianEnsemble, SoftEnsemble
from pilotfish.measure.label_models._dirichlet import _inverse_digamma, fitted, log_means
from pilotfish.measure.metrics import nll
from pilotfish.measure.votes import Votes
from tests.measure.label_models.planted import crowd

# A shy source that is right, a loud one that guesses, and one in between; two classes, Dirichlets by true class.
SHAPES = np.array([[[33.0, 27], [27, 33]], [[0.4, 0.4], [0.4, 0.4]], [[4.0, 2], [2, 4]], [[3.0, 1], [1, 3]]])


def planted(rows: int = 3000, seed: int = 0) -> tuple[Votes, np.ndarray]:
    dice = np.random.default_rng(seed)
    truth = dice.integers(0, 2, rows)
    said = np.stack([np.stack([dice.dirichlet(shape[t]) for t in truth]) for shape in SHAPES], axis=1)
    said[dice.random(said.shape[:2]) < 0.1] = np.nan
    return Votes.from_soft(said), truth


def test_digamma_is_inverted_and_a_dirichlet_is_found_by_its_mean_logarithms() -> None:
    from scipy.special import digamma

    x = np.array([1e-3, 0.1, 1.0, 7.0, 1e3])
    assert _inverse_digamma(digamma(x)) == pytest.approx(x, rel=1e-6)
    wanted = np.array([[0.7, 2.0, 5.0], [9.0, 1.0, 1.0]])
    assert fitted(log_means(wanted), np.ones((2, 3)), 2000) == pytest.approx(wanted, rel=1e-3)


def test_the_posterior_is_bayes_rule_with_dirichlet_densities() -> None:
    votes, _ = planted(40)
    model = SoftEnsemble(max_iter=5, tol=0, floor=1e-9).fit(votes)
    joint = np.tile(model.prior_, (40, 1))
    table = votes.table.toarray().reshape(40, 4, 2)
    for i in range(40):
        for s in range(4):
            if table[i, s].sum():
                joint[i] *= [dirichlet.pdf(table[i, s] / table[i, s].sum(), model.shape_[s, c]) for c in range(2)]
    heard = votes.voted
    assert model.posterior_[heard] == pytest.approx((joint / joint.sum(axis=1, keepdims=True))[heard], abs=1e-6)


def test_hard_votes_are_a_table_with_a_prior() -> None:
    votes = crowd(200).votes
    model = SoftEnsemble(strength=4, tol=0, max_iter=400).fit(votes)
    assert model.tabled_.all()
    wanted = np.tile(1 + np.eye(3), (5, 1, 1))
    for i, s, c in zip(votes.row, votes.source, votes.label, strict=True):
        wanted[s, :, c] += model.posterior_[i]
    assert model.shape_ == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("mixed", [False, True])
def test_the_objective_never_falls(mixed: bool) -> None:
    for seed in range(3):
        votes, truth = planted(150, seed)
        if mixed:
            votes = votes.beside(Votes.from_table(np.stack([truth, 1 - truth], axis=1), sources=("h", "g")))
        model = SoftEnsemble(tol=0, max_iter=40).fit(votes, {0: int(truth[0])})
        assert np.diff(model.objective_).min() > -1e-6


def test_planted_shapes_come_back_and_loudness_is_not_taken_for_knowledge() -> None:
    votes, truth = planted()
    model = SoftEnsemble().fit(votes)
    assert model.shape_[1:] == pytest.approx(SHAPES[1:], rel=0.15, abs=0.15)
    assert model.shape_[0] / model.shape_[0].sum(axis=1, keepdims=True) == pytest.approx(SHAPES[0] / 60, abs=0.01)
    heard = votes.voted
    unsure = BayesianEnsemble().fit(votes).posterior_[heard]
    assert nll(model.posterior_[heard], truth[heard]) < nll(unsure, truth[heard]) - 0.02
    right = [(one.argmax(axis=1) == truth[heard]).mean() for one in (model.posterior_[heard], unsure)]
    assert right[0] > right[1] + 0.005


def test_settings_are_checked() -> None:
    votes, _ = planted(20)
    for wrong in (SoftEnsemble(strength=0), SoftEnsemble(floor=0), SoftEnsemble(floor=0.5)):
        with pytest.raises(ConfigError):
            wrong.fit(votes)
