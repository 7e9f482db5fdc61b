from __future__ import annotations

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.label_models import DawidSkene, OneCoin
from pilotfish.measure.votes import Votes
from tests.measure.label_models.planted import crowd, enumerated, even, rules


@pytest.mark.parametrize("abstain", ["missing", "vote"])
def test_the_posterior_is_bayes_rule_at_the_tables_that_were_learned(abstain: str) -> None:
    given = crowd(60)
    model = DawidSkene(abstain=abstain, max_iter=7, tol=0).fit(given.votes)  # type: ignore[arg-type]
    wanted, _ = enumerated(given.votes, model.table_, model.prior_)
    heard = given.votes.voted
    assert model.posterior_.dtype == np.float64
    assert model.posterior_[heard] == pytest.approx(wanted[heard], abs=1e-12)
    assert model.predict_proba(given.votes)[heard] == pytest.approx(wanted[heard], abs=1e-12)


def test_the_objective_is_the_log_likelihood_and_the_tables_are_expected_counts() -> None:
    given = crowd(40)
    model = DawidSkene(smoothing=0.0, max_iter=1).fit(given.votes)
    # The first tables are majority's: counts of votes, weighted by the share of each class in its row.
    shares = given.votes.counts / np.maximum(given.votes.counts.sum(axis=1, keepdims=True), 1e-300)
    counts = np.zeros((5, 3, 3))
    for i, s, c in zip(given.votes.row, given.votes.source, given.votes.label, strict=True):
        counts[s, :, c] += shares[i]
    assert model.table_ == pytest.approx(counts / counts.sum(axis=2, keepdims=True), abs=1e-9)
    _, total = enumerated(given.votes.take(given.votes.voted), model.table_, model.prior_)
    assert model.objective_ == pytest.approx([total], abs=1e-8)


@pytest.mark.parametrize(
    "model",
    [
        DawidSkene(0.0, tol=0),
        DawidSkene(0.5, tol=0),
        DawidSkene(prior="uniform", tol=0),
        DawidSkene(abstain="vote", tol=0),
        OneCoin(0.0, tol=0),
        OneCoin(2.0, prior=(0.2, 0.3, 0.5), tol=0),
    ],
)
@pytest.mark.parametrize("gold", [False, True])
def test_the_objective_never_falls(model: DawidSkene | OneCoin, gold: bool) -> None:
    for seed in range(3):
        given = crowd(150, (0.8, 0.5, 0.3, 0.6), seed=seed)
        known = [int(given.truth[i]) if i < 20 and gold else None for i in range(150)]
        model.fit(given.votes, known)
        assert len(model.objective_) > 3
        assert np.diff(model.objective_).min() > -1e-7


def test_planted_tables_come_back() -> None:
    # The standard error of a cell of some 700 votes at .8 is .015; of the smallest, 350, .021: 4 of them.
    given = crowd(3000)
    model = DawidSkene().fit(given.votes)
    assert np.abs(model.confusion_ - given.tables).max() < 0.1
    assert np.abs(model.confusion_ - given.tables).mean() < 0.02
    assert model.prior_ == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=0.03)
    assert model.converged_


def test_planted_accuracies_come_back() -> None:
    given = even(3000)
    model = OneCoin().fit(given.votes)
    assert model.accuracy_ == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.75], abs=0.04)
    assert model.prior_ == pytest.approx([1 / 3] * 3, abs=0.03)


def test_rules_are_told_by_their_silence() -> None:
    given = rules()
    model = DawidSkene(abstain="vote").fit(given.votes)
    assert np.abs(model.table_ - given.tables).max() < 0.06
    right = (model.posterior_.argmax(axis=1) == given.truth)[given.votes.voted].mean()
    assert right > 0.85


@pytest.mark.parametrize("model", [DawidSkene(), OneCoin()])
def test_rules_whose_silence_is_missing_are_refused(model: DawidSkene | OneCoin) -> None:
    # Their likelihood is greatest where one class is never true: all of one side always right, the other always wrong.
    with pytest.raises(DataError, match="votes for one class only"):
        model.fit(rules(200).votes)


def test_gold_rows_are_clamped_and_help() -> None:
    given = crowd(400, (0.5, 0.45, 0.4), k=2, silent=0.0, seed=3)
    known = [int(given.truth[i]) if i % 2 == 0 else None for i in range(400)]
    rest = np.arange(400) % 2 == 1

    def right(model: DawidSkene) -> float:
        return float((model.posterior_.argmax(axis=1) == given.truth)[rest].mean())

    with_gold = DawidSkene().fit(given.votes, known)
    assert with_gold.posterior_[::2] == pytest.approx(np.eye(2)[given.truth[::2]])
    assert right(with_gold) >= right(DawidSkene().fit(given.votes))
    # By all of the truth the tables are plain counts.
    full = DawidSkene(smoothing=0.0).fit(given.votes, given.truth)
    counts = np.zeros((3, 2, 2))
    np.add.at(counts, (given.votes.source, given.truth[given.votes.row], given.votes.label), 1)
    assert full.confusion_ == pytest.approx(counts / counts.sum(axis=2, keepdims=True), abs=1e-9)


def test_a_soft_vote_was_for_one_of_its_classes_which_is_not_known() -> None:
    dice = np.random.default_rng(0)
    soft = dice.dirichlet([0.7, 0.7, 0.7], (40, 3))
    soft[dice.random((40, 3)) < 0.2] = np.nan
    votes = Votes.from_soft(soft)
    model = DawidSkene(smoothing=0.0, max_iter=4, tol=0).fit(votes)
    last = DawidSkene(smoothing=0.0, max_iter=3, tol=0).fit(votes)
    # By enumeration of all that the three may have said: the posterior, the evidence, and expected counts.
    total, counts = 0.0, np.zeros((3, 3, 3))
    for i in range(40):
        heard = [s for s in range(3) if not np.isnan(soft[i, s, 0])]
        joint = np.zeros(3)
        for said in np.ndindex(*[3] * len(heard)):
            for c in range(3):
                p = model.prior_[c] * np.prod(
                    [soft[i, s, v] * model.table_[s, c, v] for s, v in zip(heard, said, strict=True)]
                )
                joint[c] += p
                before = last.prior_[c] * np.prod(
                    [soft[i, s, v] * last.table_[s, c, v] for s, v in zip(heard, said, strict=True)]
                )
                for s, v in zip(heard, said, strict=True):
                    counts[s, c, v] += before / _evidence(last, soft[i], heard)
        if heard:
            assert model.posterior_[i] == pytest.approx(joint / joint.sum(), abs=1e-9)
            total += float(np.log(joint.sum()))
    assert model.objective_[-1] == pytest.approx(total)
    assert model.table_ == pytest.approx(counts / counts.sum(axis=2, keepdims=True), abs=1e-8)


def _evidence(model: DawidSkene, soft: np.ndarray, heard: list[int]) -> float:
    each = [model.prior_[c] * np.prod([soft[s] @ model.table_[s, c] for s in heard]) for c in range(3)]
    return float(sum(each))


def test_a_hundred_votes_a_row_do_not_underflow() -> None:
    given = even(50, (0.9,) * 600, k=2)
    model = DawidSkene().fit(given.votes)
    assert np.isfinite(model.posterior_).all()
    assert (model.posterior_.argmax(axis=1) == given.truth).all()


def test_settings_are_checked() -> None:
    votes = crowd(20).votes
    for wrong in (
        DawidSkene(smoothing=-1),
        DawidSkene(prior="flat"),  # type: ignore[arg-type]
        DawidSkene(prior=(0.5, 0.5)),
        DawidSkene(abstain="no"),  # type: ignore[arg-type]
        DawidSkene(max_iter=0),
        DawidSkene(tol=-1.0),
        OneCoin(smoothing=-1),
    ):
        with pytest.raises(ConfigError):
            wrong.fit(votes)
