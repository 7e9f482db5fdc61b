from __future__ import annotations

import numpy as np
import pytest

from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import Weighted
from pilotfish.measure.votes import Votes
from tests.measure.label_models.planted import even


def test_weights_are_log_odds() -> None:
    votes = Votes.from_table([[0, 1, 1], [0, -1, 2]], classes=range(3))
    accuracy = np.array([0.9, 0.6, 0.3])
    weight = np.log(accuracy * 2 / (1 - accuracy))
    found = Weighted(accuracy.tolist()).fit(votes).posterior_
    score = np.array([[weight[0], weight[1] + weight[2], 0], [weight[0], 0, weight[2]]])
    assert found == pytest.approx(np.exp(score) / np.exp(score).sum(axis=1, keepdims=True))
    assert weight[2] < 0  # worse than chance


def test_accuracies_of_gold_rows_are_drawn_in() -> None:
    votes = Votes.from_table([[0, 1], [1, 1], [0, -1], [1, 0]])
    model = Weighted(shrink=4).fit(votes, {0: 0, 1: 1, 2: 0})
    # Hits 3 of 3 and 1 of 2; the mean is 4 of 5.
    assert model.accuracy_ == pytest.approx([(3 + 4 * 0.8) / 7, (1 + 4 * 0.8) / 6])
    soft = Votes.from_soft([[[0.7, 0.3]], [[0.4, 0.6]]])
    assert Weighted(shrink=0).fit(soft, [0, 0]).accuracy_ == pytest.approx([0.55])


def test_gold_accuracies_come_back() -> None:
    given = even(2000)
    model = Weighted().fit(given.votes, given.truth)
    assert model.accuracy_ == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.75], abs=0.04)


def test_what_is_missing_is_said() -> None:
    votes = Votes.from_table([[0, 1], [1, -1]], sources="ab")
    for model, gold, said in (
        (Weighted(), None, "need accuracies, or gold rows"),
        (Weighted({"a": 0.9}), None, "none for source 'b'"),
        (Weighted({"a": 0.9, "b": 0.8, "c": 0.7}), None, "no source 'c'"),
        (Weighted([0.9]), None, "one for each of 2 sources"),
        (Weighted([0.9, 1.1]), None, "from 0 to 1"),
        (Weighted(shrink=-1), {0: 0}, "shrink"),
    ):
        with pytest.raises(ConfigError, match=said):
            model.fit(votes, gold)
    mute = Votes.from_table([[0, 1], [-1, -1]])
    with pytest.raises(ConfigError, match="no source voted on a gold row"):
        Weighted().fit(mute, {1: 0})
