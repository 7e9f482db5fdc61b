"""MaxSim against its sum written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.retrieve.late._native import library
from pilotfish.retrieve.late.maxsim import Ragged, maxsim
from tests.retrieve.late.made import documents, queries_of

needs_compiler = pytest.mark.skipif(library() is None, reason="no C compiler here")


def written_out(query: NDArray[np.float32], document: NDArray[np.float32]) -> float:
    return sum(max(float(np.dot(q.astype(float), t.astype(float))) for t in document) for q in query)


def test_a_sum_of_best_matches() -> None:
    query = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    first = np.array([[1, 0], [0.8, 0.6]], np.float32)
    second = np.array([[0, -1]], np.float32)
    # 1 + .6 + .96; 0 - 1 - .8
    for native in (False, True):
        np.testing.assert_allclose(maxsim(query, [first, second], native=native), [2.56, -1.8], atol=1e-6)


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    tokens=st.integers(1, 70),
    dimension=st.integers(1, 40),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_ways_are_the_sum_written_out(
    lengths: list[int], tokens: int, dimension: int, threads: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    query = random.normal(size=(tokens, dimension)).astype(np.float32)
    given = [random.normal(size=(length, dimension)).astype(np.float32) for length in lengths]
    expected = [written_out(query, one) if len(one) else -np.inf for one in given]
    for native in (False, True):
        got = maxsim(query, given, threads=threads, native=native)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@needs_compiler
def test_a_documents_score_does_not_hang_on_its_neighbours() -> None:
    many = documents(200)
    for query in queries_of(many, 5):
        whole = maxsim(query, many)
        assert [maxsim(query, [one])[0] for one in many[::7]] == whole[::7].tolist()
        np.testing.assert_array_equal(maxsim(query, many[::-1], threads=3)[::-1], whole)


def test_other_dimensions_are_refused() -> None:
    with pytest.raises(DataError, match="document 1: its vectors are"):
        Ragged.of([np.zeros((2, 3)), np.zeros((2, 4))])
    with pytest.raises(DataError, match="dimension 3"):
        maxsim(np.zeros((2, 4), np.float32), Ragged.of([np.zeros((2, 3))]))
    assert maxsim(np.zeros((2, 4), np.float32), []).shape == (0,)
