from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.label_models import Glad, Majority
from pilotfish.measure.label_models.glad import _Rows
from pilotfish.measure.votes import Votes
from tests.measure.label_models.planted import even, rules


def _step(k: int, gold: bool = False) -> tuple[_Rows, Votes, np.ndarray, np.ndarray]:
    given = even(12, (0.8, 0.7, 0.6, 0.55), k=k, seed=2)
    dice = np.random.default_rng(1)
    truth = np.where(np.arange(12) < 3, given.truth, -1) if gold else np.full(12, -1)
    log_prior = np.log(dice.dirichlet(np.full(k, 5.0)))
    return (
        _Rows(given.votes, log_prior, truth, 1.0, 1.0),
        given.votes,
        dice.normal(1, 0.5, 4),
        dice.normal(0.5, 0.5, 12),
    )


def _slopes_are_right(step: _Rows, ability: Any, log_ease: Any, by_ability: Any, by_ease: Any) -> None:
    """Hold gradients against the objective's differences."""
    for part, slope in ((0, by_ability), (1, by_ease)):
        for at in range(len(slope)):
            moved = []
            for sign in (-1e-5, 1e-5):
                both = [ability.copy(), log_ease.copy()]
                both[part][at] += sign
                moved.append(step.expected(*both)[1])
            assert slope[at] == pytest.approx((moved[1] - moved[0]) / 2e-5, abs=1e-6)


@pytest.mark.parametrize("k", [2, 4])
def test_the_posterior_is_equation_2(k: int) -> None:
    step, votes, ability, log_ease = _step(k)
    belief, objective = step.expected(ability, log_ease)
    wanted, total = np.zeros((12, k)), 0.0
    for i in range(12):
        joint = np.exp(step.log_prior)
        for j, s, label in zip(votes.row, votes.source, votes.label, strict=True):
            if j == i:
                right = 1 / (1 + np.exp(-ability[s] * np.exp(log_ease[i])))
                joint = joint * np.where(np.arange(k) == label, right, (1 - right) / (k - 1))
        wanted[i], total = joint / joint.sum(), total + np.log(joint.sum()) * votes.voted[i]
    assert belief == pytest.approx(wanted, abs=1e-12)
    paid = (((ability - 1) ** 2).sum() + ((log_ease - 1) ** 2).sum()) / 2
    assert objective == pytest.approx(total - paid)


def test_two_classes_give_the_paper_s_gradients() -> None:
    # Eqs. 3 and 4: sums over votes of (p l + (1 - p)(1 - l) - s(a b)), times b for a, and times a for b.
    step, votes, ability, log_ease = _step(2)
    belief, _ = step.expected(ability, log_ease)
    _, by_ability, by_ease = step.auxiliary(belief, ability, log_ease)
    ease = np.exp(log_ease)
    wanted_a, wanted_b = -(ability - 1), np.zeros(12)
    for i, s, label in zip(votes.row, votes.source, votes.label, strict=True):
        p1 = belief[i, 1]
        pull = p1 * label + (1 - p1) * (1 - label) - 1 / (1 + np.exp(-ability[s] * ease[i]))
        wanted_a[s] += pull * ease[i]
        wanted_b[i] += pull * ability[s]
    assert by_ability == pytest.approx(wanted_a)
    assert by_ease == pytest.approx(wanted_b * ease - (log_ease - 1))


@pytest.mark.parametrize("gold", [False, True])
def test_gradients_are_those_of_the_objective_too(gold: bool) -> None:
    step, _, ability, log_ease = _step(3, gold)
    belief, _ = step.expected(ability, log_ease)
    _, by_ability, by_ease = step.auxiliary(belief, ability, log_ease)
    _slopes_are_right(step, ability, log_ease, by_ability, by_ease)


def test_a_soft_vote_is_a_vote_that_was_not_seen() -> None:
    dice = np.random.default_rng(3)
    shares = dice.dirichlet(np.ones(3), (10, 4))
    shares[dice.random((10, 4)) < 0.3] = np.nan
    shares[0, 0] = [0.0, 1.0, 0.0]
    votes = Votes.from_soft(shares)
    prior, ability, log_ease = dice.dirichlet(np.full(3, 5.0)), dice.normal(1, 0.5, 4), dice.normal(0.5, 0.5, 10)
    step = _Rows(votes, np.log(prior), np.full(10, -1), 1.0, 1.0)
    belief, objective = step.expected(ability, log_ease)
    total = 0.0
    for i in range(10):
        joint = prior.copy()
        for s in np.flatnonzero(~np.isnan(shares[i, :, 0])):
            right = 1 / (1 + np.exp(-ability[s] * np.exp(log_ease[i])))
            # The sum over the votes that it may have been.
            joint *= [sum(shares[i, s, c] * (right if c == z else (1 - right) / 2) for c in range(3)) for z in range(3)]
        if votes.voted[i]:
            assert belief[i] == pytest.approx(joint / joint.sum(), abs=1e-12)
            total += np.log(joint.sum())
    assert objective == pytest.approx(total - (((ability - 1) ** 2).sum() + ((log_ease - 1) ** 2).sum()) / 2)
    _, by_ability, by_ease = step.auxiliary(belief, ability, log_ease)
    _slopes_are_right(step, ability, log_ease, by_ability, by_ease)
    assert np.diff(Glad(tol=1e-9).fit(votes).objective_).min() > -1e-7


def test_em_never_falls_and_finds_able_sources_and_hard_rows() -> None:
    dice = np.random.default_rng(0)
    truth, ability = dice.integers(0, 2, 600), np.array([3.0, 2.0, 1.0, 0.5, 0.0, -1.0, 1.5, 1.0])
    ease = np.where(np.arange(600) < 300, 2.0, 0.2)
    right = dice.random((600, 8)) < 1 / (1 + np.exp(-ease[:, None] * ability))
    votes = Votes.from_table(np.where(right, truth[:, None], 1 - truth[:, None]))
    model = Glad(tol=1e-7).fit(votes)
    assert np.diff(model.objective_).min() > -1e-7
    assert np.corrcoef(model.ability_, ability)[0, 1] > 0.95
    assert model.ability_[5] < 0
    assert model.ease_[:300].mean() > 1.3 * model.ease_[300:].mean()
    proba = model.predict_proba(votes)
    assert proba == pytest.approx(model.posterior_, abs=0.02)


def test_new_rows_get_an_ease_of_their_own() -> None:
    given = even(800, k=2)
    model = Glad().fit(given.votes.take(range(500)))
    rest = given.votes.take(range(500, 800))
    assert (model.predict_proba(rest).argmax(axis=1) == given.truth[500:])[rest.voted].mean() > 0.8


def test_cautious_classifiers_are_not_taken_for_wrong_ones() -> None:
    # Right on .75, and never surer than .4 of six classes: read by shares, each would be "wrong" on .6.
    dice = np.random.default_rng(0)
    truth = dice.integers(0, 6, 500)
    said = np.where(dice.random((500, 3)) < 0.75, truth[:, None], dice.integers(0, 6, (500, 3)))
    shares = np.where(np.arange(6) == said[:, :, None], 0.4, 0.12)
    shares[dice.random((500, 3)) < 0.3] = np.nan
    votes = Votes.from_soft(shares, classes=list("abcdef"))
    model = Glad().fit(votes)
    assert (model.ability_ > 0).all()
    found = [(one.posterior_.argmax(axis=1) == truth)[votes.voted].mean() for one in (model, Majority().fit(votes))]
    assert found[0] > found[1] - 0.01
    assert model.predict_proba(votes)[votes.voted] == pytest.approx(model.posterior_[votes.voted], abs=0.05)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="prior"):
        Glad(prior="learn").fit(even(20).votes)
    with pytest.raises(ConfigError, match="max_iter"):
        Glad(max_iter=0).fit(even(20).votes)
    with pytest.raises(DataError, match="one class only"):
        Glad().fit(rules(100).votes)
