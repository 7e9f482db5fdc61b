"""Clusters of meanings: whatever the order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.evaluate.uncertainty.clusters import clusters, entailments, same_words


def test_each_pair_is_asked_once_in_one_call() -> None:
    asked: list[list[tuple[str, str]]] = []

    def entails(pairs: Sequence[tuple[str, str]]) -> list[float]:
        asked.append(list(pairs))
        return [0.9 if one[0] == other[0] else 0.1 for one, other in asked[-1]]

    found = entailments(["ab", "ac", "b", "ab"], entails)
    assert len(asked) == 1 and len(asked[0]) == len(set(asked[0])) == 6
    assert found[0].tolist() == [1, 0.9, 0.1, 1]
    assert clusters(found) == [0, 0, 1, 0]
    assert entailments(["a", "a"], lambda pairs: [1 / 0]).tolist() == [[1, 1], [1, 1]]


def test_one_way_is_not_the_same_meaning() -> None:
    assert clusters(np.array([[1, 0.9], [0.2, 1]])) == [0, 1]
    assert clusters(np.array([[1, 0.5], [0.5, 1]])) == [0, 0]
    assert clusters(np.array([[1, 0.5], [0.5, 1]]), least=0.6) == [0, 1]


@given(st.integers(1, 7), st.integers(0, 10**6))
def test_the_order_of_answers_changes_nothing(count: int, seed: int) -> None:
    dice = np.random.default_rng(seed)
    told = dice.choice([0.2, 0.5, 0.8], size=(count, count))
    np.fill_diagonal(told, 1)
    order = dice.permutation(count)
    plain, turned = clusters(told), clusters(told[np.ix_(order, order)])
    for i in range(count):
        for j in range(count):
            assert (turned[i] == turned[j]) == (plain[order[i]] == plain[order[j]])


def test_a_link_by_way_of_another_is_one() -> None:
    told = np.eye(3)
    told[0, 1] = told[1, 0] = told[1, 2] = told[2, 1] = 0.9
    assert clusters(told) == [0, 0, 0]


def test_what_is_no_probability_is_told() -> None:
    with pytest.raises(DataError, match="2 pairs"):
        entailments(["a", "b"], lambda pairs: [0.5])
    with pytest.raises(DataError, match="from 0 to 1"):
        entailments(["a", "b"], lambda pairs: [1.2, 0.1])


def test_same_words() -> None:
    assert same_words([("Paris.", "paris"), ("1,234.5", "1,234.5!"), ("12", "1 2"), ("a b", "b a")]) == [1, 1, 0, 0]
