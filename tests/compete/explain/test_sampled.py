"""Shapley values by drawn orders: they add up, and of functions whose values are known they are those."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from pilotfish.compete.explain import explained, sampled
from pilotfish.errors import DataError
from tests.compete.explain.test_explain import fitted, task_of

RNG = np.random.default_rng(0)
X, OTHERS = RNG.normal(size=(7, 3)), RNG.normal(size=(5, 3))


def test_of_a_sum_they_are_exact_beside_their_own_rows() -> None:
    weights = np.array([[1.0, -2.0], [0.5, 0.0], [3.0, 1.0]])
    shares, base = sampled(lambda x: x @ weights, X, OTHERS, orders=4)
    np.testing.assert_allclose(base + shares.sum(axis=1), X @ weights, atol=1e-12)
    # Every order of a sum tells the same: what is drawn is only where it begins.
    single, start = sampled(lambda x: x @ weights, X, OTHERS[:1], orders=1)
    np.testing.assert_allclose(single, (X - OTHERS[0])[:, :, None] * weights[None], atol=1e-12)
    np.testing.assert_allclose(start, OTHERS[0] @ weights, atol=1e-12)


def test_they_come_near_all_orders() -> None:
    def value(x: np.ndarray) -> np.ndarray:
        return np.asarray((x[:, 0] * x[:, 1] + np.maximum(x[:, 2], x[:, 0]))[:, None])

    wanted = np.zeros((7, 3, 1))
    for order in permutations(range(3)):
        at = np.tile(OTHERS[0], (7, 1))
        for column in order:
            before = value(at)
            at[:, column] = X[:, column]
            wanted[:, column] += (value(at) - before) / 6
    found, _ = sampled(value, X, OTHERS[:1], orders=400)
    np.testing.assert_allclose(found, wanted, atol=0.12)
    np.testing.assert_allclose(found.sum(axis=1), wanted.sum(axis=1), atol=1e-9)


@pytest.mark.parametrize("target", ["two", "three", "number"])
def test_rule_lists_are_explained_beside_other_rows(target: str) -> None:
    task = task_of(target)
    model = fitted(task, "rules")
    told = explained(model, task.x_test, task.x)
    assert told.residual < 1e-9 and not told.exact and told.importance()[0] > told.importance()[2]
    with pytest.raises(DataError):
        explained(model, task.x_test, task.x[:0])
