"""Graphs of answers: what closed forms there are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.evaluate.uncertainty.graph import degree, eigenvalues, kernel_entropy, laplacian


def blocks(*sizes: int) -> NDArray[np.float64]:
    group = np.repeat(np.arange(len(sizes)), sizes)
    found: NDArray[np.float64] = (group[:, None] == group[None]).astype(np.float64)
    return found


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_of_clear_meanings_there_are_as_many_as_there_are(sizes: list[int]) -> None:
    assert eigenvalues(blocks(*sizes)) == pytest.approx(len(sizes))
    shares = np.array(sizes) / sum(sizes)
    assert degree(blocks(*sizes)) == pytest.approx(1 - (shares**2).sum())


def test_eigenvalues_by_hand() -> None:
    # Two answers alike by a: L = [[1 - 1/(1+a), -a/(1+a)], ...], with eigenvalues 0 and 2a/(1+a)... less a's own.
    for a in (0.0, 0.3, 0.9):
        values = sorted(np.linalg.eigvalsh(laplacian([[1, a], [a, 1]])))
        assert values == pytest.approx(sorted([1 - (1 + a) / (1 + a), 1 - (1 - a) / (1 + a)]))
        assert eigenvalues([[1, a], [a, 1]]) == pytest.approx(1 + (1 - a) / (1 + a))


def test_the_kernel_s_entropy_lies_between_one_meaning_and_as_many_as_answers() -> None:
    apart, alike = kernel_entropy(np.eye(6)), kernel_entropy(np.ones((6, 6)), time=50)
    assert apart == pytest.approx(math.log(6))
    assert alike == pytest.approx(0, abs=1e-6)
    assert kernel_entropy(blocks(3, 3), time=50) == pytest.approx(math.log(2), abs=1e-6)
    half = np.full((6, 6), 0.5) + 0.5 * np.eye(6)
    assert alike < kernel_entropy(half, time=3) < apart


def test_mistakes() -> None:
    wrongs: list[Any] = [np.zeros((2, 3)), [[1, 2], [2, 1]], [[0.5, 0], [0, 1]], np.zeros((0, 0))]
    for wrong in wrongs:
        with pytest.raises(DataError):
            eigenvalues(wrong)
    with pytest.raises(DataError, match="above 0"):
        kernel_entropy(np.eye(2), time=0)
