"""Greedy choices of what is near and unlike: against their definitions, by brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.rows.diverse import determinantal, in_turn, marginal


def drawn(seed: int, places: int, width: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(places, width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return random.uniform(size=places), vectors @ vectors.T


@given(seed=st.integers(0, 999), places=st.integers(1, 8), count=st.integers(0, 9), weight=st.floats(0, 1))
def test_each_next_one_has_the_largest_margin(seed: int, places: int, count: int, weight: float) -> None:
    near, alike = drawn(seed, places)
    found = marginal(near, alike, count, weight)
    assert len(found) == len(set(found)) == min(count, places)
    for at, one in enumerate(found):
        before = found[:at]

        def worth(place: int, before: list[int] = before) -> float:
            closest = max((alike[place, other] for other in before), default=0.0)
            return float(weight * near[place] - (1 - weight) * closest)

        assert worth(one) >= max(worth(place) for place in range(places) if place not in before) - 1e-12


@given(seed=st.integers(0, 999), places=st.integers(2, 6), weight=st.floats(0, 0.9))
def test_each_next_one_makes_the_largest_determinant(seed: int, places: int, weight: float) -> None:
    near, alike = drawn(seed, places, width=8)
    found = determinantal(near, alike, 4, weight)
    pull = np.exp(weight / (2 * (1 - weight)) * near)
    kernel = pull[:, None] * alike * pull

    def log_determinant(some: list[int]) -> float:
        sign, value = np.linalg.slogdet(kernel[np.ix_(some, some)])
        return float(value) if sign > 0 else -math.inf

    for at, one in enumerate(found):
        others = [place for place in range(places) if place not in found[:at]]
        best = max(log_determinant([*found[:at], place]) for place in others)
        assert log_determinant([*found[:at], one]) >= best - 1e-6


def test_what_the_others_span_is_not_taken() -> None:
    alike = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert determinantal([3, 2, 1], alike, 3, 0.5) == [0, 2]
    assert marginal([1.0, 0.9, 0.1], alike, 2, 0.3) == [0, 2]
    assert marginal([1.0, 0.9, 0.1], alike, 2, 1.0) == [0, 1]


def test_the_best_pair_of_orthogonal_ones_is_the_most_relevant() -> None:
    near = [0.1, 0.9, 0.5, 0.7]
    best = max(itertools.combinations(range(4), 2), key=lambda pair: sum(near[one] for one in pair))
    assert set(determinantal(near, np.eye(4), 2, 0.5)) == set(best) == set(marginal(near, np.eye(4), 2, 0.5))


def test_classes_take_turns() -> None:
    assert in_turn([4, 3, 2, 1, 0], list("aabbb"), 3) == [4, 1, 3]
    assert in_turn([0], ["a"], 3) == [0]


def test_what_is_wrong_is_told() -> None:
    for weight, alike in ((1.5, np.eye(2)), (0.5, np.eye(3))):
        with pytest.raises(ConfigError):
            marginal([1, 2], alike, 1, weight)
    with pytest.raises(ConfigError, match="below 1"):
        determinantal([1, 2], np.eye(2), 1, 1.0)
