"""Pooling: near tokens become their mean, and as many are left as were asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.retrieve.late.pooling import pooled
from tests.retrieve.late.made import unit

pytest.importorskip("scipy")


def test_near_ones_become_their_mean() -> None:
    first = unit(np.array([[1, 0, 0]]))
    pairs = unit(np.array([[0, 1, 0.1], [0, 0.1, 1], [0, 1, -0.1], [0, -0.1, 1]]))
    found = pooled(np.concatenate([first, pairs]), 2)
    assert sorted(map(tuple, found[1:].round(5).tolist())) == [(0, 0, 1), (0, 1, 0)]
    np.testing.assert_array_equal(found[:1], first)


@given(tokens=st.integers(0, 25), factor=st.integers(1, 6), seed=st.integers(0, 99))
def test_as_many_as_asked_for(tokens: int, factor: int, seed: int) -> None:
    vectors = unit(np.random.default_rng(seed).normal(size=(tokens, 6)))
    found = pooled(vectors, factor)
    assert len(found) <= max(1 + max((tokens - 1) // factor, 1), 0) or len(found) == tokens
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    if factor == 1 or tokens <= 2:
        np.testing.assert_array_equal(found, vectors)
