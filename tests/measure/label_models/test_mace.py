from __future__ import annotations

import numpy as np
import pytest

from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import Mace, Majority
from pilotfish.measure.label_models.mace import _shares, _votes_table
from pilotfish.measure.votes import Votes
from tests.measure.label_models.planted import crowd, enumerated


def spammed(rows: int = 600, seed: int = 0) -> tuple[Votes, np.ndarray, np.ndarray]:
    """Three who mostly know and four who say what they say whatever is true, two of them always the same."""
    dice = np.random.default_rng(seed)
    truth = dice.integers(0, 3, rows)
    knows = np.array([0.95, 0.9, 0.8, 0.0, 0.0, 0.1, 0.1])
    habits = np.array([[1, 1, 1]] * 3 + [[1, 0, 0]] * 2 + [[0.2, 0.2, 0.6]] * 2, float)
    habits /= habits.sum(axis=1, keepdims=True)
    table = np.stack(
        [np.where(dice.random(rows) < knows[s], truth, dice.choice(3, rows, p=habits[s])) for s in range(7)], axis=1
    )
    return Votes.from_table(table), truth, knows


def test_the_model_of_the_paper_at_given_parameters() -> None:
    # Section 2: S ~ Bernoulli(1 - theta); A = T where S = 0, else A ~ Multinomial(xi).
    knows, habits = np.array([0.7, 0.2]), np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    table = _votes_table(knows, 1 - knows, habits)
    for s in range(2):
        for true in range(3):
            for said in range(3):
                wanted = knows[s] * (said == true) + (1 - knows[s]) * habits[s, said]
                assert table[s, true, said] == pytest.approx(wanted)
    # Of a right vote, the chance that it came of knowledge; a wrong one is spam for certain.
    counts = np.array([[[4.0, 1, 0], [2, 6, 1], [0, 0, 3]], [[1.0, 1, 1], [1, 1, 1], [1, 1, 1]]])
    known, spam = _shares(counts, knows, 1 - knows, habits)
    assert known[0, 0] == pytest.approx(4 * 0.7 / (0.7 + 0.3 * 0.5))
    assert spam[0, 0] == pytest.approx(4 * 0.15 / 0.85 + 2)
    assert (known + spam) == pytest.approx(counts.sum(axis=1))


@pytest.mark.parametrize("method", ["vb", "em"])
def test_the_objective_never_falls(method: str) -> None:
    for seed in range(3):
        votes = crowd(150, (0.9, 0.6, 0.4, 0.3), seed=seed).votes
        for prior in ("uniform", "learn"):
            model = Mace(method, restarts=3, tol=0, max_iter=40, prior=prior, seed=seed)  # type: ignore[arg-type]
            model.fit(votes, {0: 1, 5: 2})
            assert np.diff(model.objective_).min() > -1e-7
            assert model.objectives_.max() == model.objective_[-1]


def test_em_s_posterior_is_bayes_rule_at_its_parameters() -> None:
    votes = crowd(50).votes
    model = Mace("em", restarts=2, smoothing=0.0).fit(votes)
    wanted, total = enumerated(votes, model.confusion_, model.prior_)
    assert model.posterior_[votes.voted] == pytest.approx(wanted[votes.voted], abs=1e-9)
    assert model.objective_[-1] == pytest.approx(total - (~votes.voted).sum() * 0, abs=1e-6)


@pytest.mark.parametrize("method", ["vb", "em"])
def test_spammers_are_seen_through(method: str) -> None:
    votes, truth, knows = spammed()
    model = Mace(method).fit(votes)  # type: ignore[arg-type]
    # 600 votes: a standard error of .02 at most; the prior of VB draws towards the ends.
    assert model.competence_ == pytest.approx(knows, abs=0.1)
    assert model.habits_[3].argmax() == 0
    assert model.habits_[3, 0] > 0.9
    right = (model.posterior_.argmax(axis=1) == truth).mean()
    assert right > (Majority().fit(votes).posterior_.argmax(axis=1) == truth).mean() + 0.05


def test_variational_weights_are_exponentials_of_mean_logarithms() -> None:
    # The bound is the log-evidence of Bayes' rule with those weights, less the divergences from the priors.
    votes = crowd(40).votes
    model = Mace(restarts=1, tol=0, max_iter=200).fit(votes)
    wanted, _ = enumerated(votes, model.table_, model.prior_)
    assert model.posterior_[votes.voted] == pytest.approx(wanted[votes.voted], abs=1e-9)
    assert (model.table_.sum(axis=2) < 1).all()


def test_settings_are_checked() -> None:
    votes = crowd(20).votes
    for wrong in (Mace("mcmc"), Mace(restarts=0), Mace(competence_prior=(0.0, 1.0)), Mace(smoothing=-1)):  # type: ignore[arg-type]
        with pytest.raises(ConfigError):
            wrong.fit(votes)
