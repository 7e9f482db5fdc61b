from __future__ import annotations

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.label_models import DataProgramming, Majority
from pilotfish.measure.label_models._moments import Moments, completed, moments
from pilotfish.measure.votes import Votes
from tests.measure.label_models.planted import Planted, even, rules


def _exact(part: np.ndarray, rows: float = 1000.0) -> Moments:
    n = len(part)
    away = np.where(np.eye(n), 0.0, rows)
    return Moments(np.arange(n), np.full(n, 0.5), np.full(n, 0.25), np.where(away > 0, np.outer(part, part), 0.0), away)


def test_three_sources_are_the_triplet_s_closed_form() -> None:
    # Fu et al. 2020, section 3: |a| = sqrt(|E[ab] E[ac] / E[bc]|).
    part = np.array([0.8, 0.5, 0.3])
    given = _exact(part)
    found, noise = completed(given, 1000)
    c = given.correlation
    triplets = [
        np.sqrt(c[0, 1] * c[0, 2] / c[1, 2]),
        np.sqrt(c[0, 1] * c[1, 2] / c[0, 2]),
        np.sqrt(c[0, 2] * c[1, 2] / c[0, 1]),
    ]
    assert found == pytest.approx(triplets, abs=1e-6)
    assert found == pytest.approx(part, abs=1e-6)
    assert noise[0] == pytest.approx(1 / np.sqrt(1000 * (0.25 + 0.09)), rel=1e-5)


def test_a_rank_one_matrix_with_holes_and_an_adversary_is_completed() -> None:
    part = np.array([0.7, 0.6, -0.4, 0.5, 0.3, 0.8])
    given = _exact(part)
    given.rows[0, 1] = given.rows[1, 0] = given.rows[2, 5] = given.rows[5, 2] = 0.0
    given.correlation[given.rows == 0] = 0.0
    assert completed(given, 1000, adversaries=True)[0] == pytest.approx(part, abs=1e-5)
    assert completed(given, 1000)[0][2] == 0.0


def test_covariances_are_those_of_the_indicators() -> None:
    votes = rules(300).votes
    table = np.full((300, 8), -1)
    table[votes.row, votes.source] = votes.label
    both = np.concatenate([table == 1, table == 0], axis=1).astype(float)
    found = moments(votes, 1, silent=True)
    assert found.mean == pytest.approx(both.mean(axis=0))
    counted = found.rows > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        assert found.correlation[counted] == pytest.approx(np.corrcoef(both.T)[counted])
    # Where silence is missing, over the rows on which both voted.
    crowd = even(200, k=2).votes
    table = np.full((200, 5), -1)
    table[crowd.row, crowd.source] = crowd.label
    found = moments(crowd, 1, silent=False)
    shared = (table[:, 0] >= 0) & (table[:, 3] >= 0)
    pair = np.cov(table[shared][:, 0] == 1, table[shared][:, 3] == 1)
    scale = np.sqrt(found.variance[0] * found.variance[3])
    assert found.correlation[0, 3] == pytest.approx(pair[0, 1] / scale)
    assert found.rows[0, 3] == shared.sum()


def test_planted_rules_come_back_within_their_noise() -> None:
    far, inside = [], []
    for seed in range(10):
        given = rules(4000, seed=seed)
        model = DataProgramming(prior=(0.6, 0.4)).fit(given.votes)
        truth = given.tables[:, [0, 1], [0, 1]] - given.tables[:, [1, 0], [0, 1]]
        own = np.arange(8), np.arange(8) % 2
        gap = (model.strength_ - truth)[own] / model.stderr_[own]
        far.append(np.abs((model.strength_ - truth)[own]).max())
        inside.append((np.abs(gap) < 2).mean())
        assert np.abs(model.table_ - given.tables).max() < 0.12
    assert np.mean(far) < 0.06
    # Of 80 intervals of two standard errors some 76 hold the truth; the errors take others' estimates for exact.
    assert np.mean(inside) > 0.8


def test_planted_crowds_come_back() -> None:
    for k in (2, 4):
        given = even(4000, k=k)
        model = DataProgramming(abstain="missing").fit(given.votes)
        assert model.accuracy_ == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.75], abs=0.05)
        assert model.weak_ == []
        assert (model.misfit_ < 1.5).all()


def test_an_adversary_in_a_crowd_counts_against() -> None:
    given = even(3000, (0.85, 0.8, 0.75, 0.1), k=2)
    model = DataProgramming(abstain="missing").fit(given.votes)
    assert model.accuracy_[3] == pytest.approx(0.1, abs=0.05)


def test_better_than_majority_on_rules() -> None:
    given = rules()
    heard = given.votes.voted
    models = DataProgramming(), Majority()
    right = [(m.fit(given.votes).posterior_.argmax(axis=1) == given.truth)[heard].mean() for m in models]
    assert right[0] > right[1]


def _noise(rows: int, seed: int) -> Votes:
    dice = np.random.default_rng(seed)
    table = dice.integers(0, 2, (rows, 6))
    table[dice.random(table.shape) < 0.4] = -1
    return Votes.from_table(table)


def test_noise_is_refused_not_fitted() -> None:
    refused = 0
    for seed in range(40):
        for abstain in ("vote", "missing"):
            try:
                DataProgramming(abstain=abstain).fit(_noise(400, seed))
            except DataError as error:
                assert "take more rows, or another label model" in str(error)
                refused += 1
    assert refused >= 78


def test_too_few_sources_are_refused() -> None:
    with pytest.raises(DataError, match="three are needed"):
        DataProgramming().fit(even(300, (0.9, 0.8)).votes)
    # Two who know and three who guess: no triplet.
    given: Planted = even(1500, (0.9, 0.9, 0.5, 0.5, 0.5), k=2, seed=4)
    with pytest.raises(DataError, match="stand out from noise"):
        DataProgramming(abstain="missing").fit(given.votes)


def test_copies_are_told_by_the_misfit() -> None:
    given = rules(2000)
    votes = given.votes
    some = votes.only(["0", "2"])
    twins = Votes.from_columns(
        some.row, np.array(["twin 0", "twin 2"])[some.source], some.label, classes=(0, 1), ids=range(2000)
    )
    assert DataProgramming().fit(votes).misfit_.max() < 2
    assert DataProgramming().fit(votes.beside(twins)).misfit_.max() > 5


def test_gold_rows_tell_the_classes_shares() -> None:
    given = rules()
    known = [int(t) if i < 200 else None for i, t in enumerate(given.truth)]
    model = DataProgramming().fit(given.votes, known)
    assert model.prior_ == pytest.approx((np.bincount(given.truth[:200]) + 1) / 202)
    with pytest.raises(ConfigError, match="abstain"):
        DataProgramming(abstain="x").fit(given.votes)  # type: ignore[arg-type]
