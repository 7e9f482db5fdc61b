"""The conditional logit: its gradient, its minimum, its way out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.entities.logit import Choice, learnt, loss, probabilities
from pilotfish.errors import DataError


def drawn(seed: int, count: int = 6, features: int = 3) -> list[Choice]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        size = int(rng.integers(0, 5))
        right = int(rng.integers(0, size + 1))
        found.append(Choice(rng.normal(size=(size, features)), right if right < size else None))
    return found


@given(st.integers(0, 10_000))
def test_the_gradient_is_that_of_the_loss(seed: int) -> None:
    choices = drawn(seed)
    rng = np.random.default_rng(seed + 1)
    at, start = rng.normal(size=4), rng.normal(size=4)
    slope = loss(choices, at, start, 0.3)[1]
    for place in range(4):
        step = np.eye(4)[place] * 1e-6
        about = (loss(choices, at + step, start, 0.3)[0] - loss(choices, at - step, start, 0.3)[0]) / 2e-6
        assert slope[place] == pytest.approx(about, abs=1e-5)


def test_probabilities_by_hand() -> None:
    told = probabilities(np.array([[1.0], [0.0]]), np.array([np.log(2.0)]), 0.0)
    assert told == pytest.approx([0.5, 0.25, 0.25])
    assert probabilities(np.zeros((0, 2)), np.ones(2), 3.0) == pytest.approx([1.0])
    assert probabilities(np.array([[1e6]]), np.ones(1), 0.0) == pytest.approx([1.0, 0.0])


def test_weights_are_found_again() -> None:
    rng = np.random.default_rng(0)
    truth, nil = np.array([2.0, -1.0, 0.5]), 0.4
    choices = []
    for _ in range(1500):
        table = rng.normal(size=(4, 3))
        at = int(rng.choice(5, p=probabilities(table, truth, nil)))
        choices.append(Choice(table, at if at < 4 else None))
    assert learnt(choices, np.zeros(4), 1e-6) == pytest.approx([*truth, nil], abs=0.25)
    held = learnt(choices, np.ones(4), 1e9)
    assert held == pytest.approx(np.ones(4), abs=1e-3)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="none of these has any"):
        learnt([Choice(np.zeros((0, 2)), None)], np.zeros(3), 1.0)
