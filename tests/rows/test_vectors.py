from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows import vectors as module
from pilotfish.rows._clusters import clustered
from pilotfish.rows.vectors import near_vectors, vector_leaks


def crowd(rows: int, centres: int, spread: float, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((centres, 32))
    return middles[rng.integers(centres, size=rows)] + spread * rng.standard_normal((rows, 32))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(1, 8), st.floats(0, 0.3), st.integers(0, 9), st.sampled_from([0.9, 0.97]))
def test_groups_are_the_components_of_the_cosines(
    rows: int, centres: int, spread: float, seed: int, threshold: float
) -> None:
    data = crowd(rows, centres, spread, seed)
    unit = data / np.linalg.norm(data, axis=1, keepdims=True)
    cosine = unit @ unit.T
    close = np.abs(cosine - threshold) < 1e-5
    if close.any():  # float32 may decide either way
        return
    near = (cosine >= threshold) | np.eye(rows, dtype=bool)
    for _ in range(rows):
        near = near | (near @ near)
    found = near_vectors(data * 3, threshold)
    assert found.group.tolist() == near.argmax(axis=1).tolist()
    assert all(a < b and s == pytest.approx(cosine[a, b], abs=1e-5) for a, b, s in found.pairs)
    assert near_vectors(data, threshold, clusters=1).group.tolist() == found.group.tolist()


def test_blocks_do_not_change_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    data = crowd(500, 60, 0.15)
    whole = near_vectors(data, labels=[n % 3 for n in range(500)])
    monkeypatch.setattr(module, "_BLOCK", 37)
    parts = near_vectors(data, labels=[n % 3 for n in range(500)])
    assert whole.group.tolist() == parts.group.tolist()
    assert whole.conflicts == parts.conflicts != ()
    unit = data / np.linalg.norm(data, axis=1, keepdims=True)
    cosine = unit[:300] @ unit[300:].T
    pairs = vector_leaks(data[:300], data[300:]).pairs
    assert {pair[:2] for pair in pairs} == set(
        zip(*(side.tolist() for side in np.nonzero(cosine >= 0.95)), strict=True)
    )
    assert all(similarity == pytest.approx(cosine[a, b], abs=1e-5) for a, b, similarity in pairs)


def test_clusters_find_nearly_all_of_tight_groups_and_hold_every_row_once() -> None:
    data = crowd(4000, 400, 0.05)
    whole, parts = near_vectors(data), near_vectors(data, clusters=20, seed=1)
    assert len(whole.removed) > 3000
    assert len(parts.removed) >= 0.98 * len(whole.removed)
    unit = module.unit_vectors(data)
    rows = np.concatenate(list(clustered(unit, 20, 1)))
    assert sorted(rows.tolist()) == list(range(4000))
    assert [r.tolist() for r in clustered(unit, 7, 2)] == [r.tolist() for r in clustered(unit, 7, 2)]
    assert sum(map(len, clustered(unit[:3], 9))) == 3


def test_many_copies_take_no_square_of_memory() -> None:
    data = np.repeat(crowd(2, 2, 0), 3000, axis=0)
    start = time.process_time()
    found = near_vectors(data)
    assert time.process_time() - start < 20
    assert found.keep == [0, 3000]
    assert found.exact == 5998
    assert len(found.pairs) <= 6000 * 64 * 3


def test_nothing_and_bad_input() -> None:
    empty = np.empty((0, 4))
    assert near_vectors(empty).keep == []
    assert len(vector_leaks(empty, np.ones((2, 4)))) == 0
    assert near_vectors(empty, clusters=3).keep == []
    with pytest.raises(DataError, match="vector of row 2 is zero or not finite"):
        near_vectors([[1, 0], [0, 0]])
    with pytest.raises(DataError, match="vector of row 1 is zero or not finite"):
        near_vectors(np.array([[np.nan, 0], [0, 1]]))
    with pytest.raises(DataError, match="matrix"):
        near_vectors([1.0, 2.0])
    with pytest.raises(DataError, match="2 dimensions, test vectors 3"):
        vector_leaks(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(DataError, match="1 vectors but 2 labels"):
        near_vectors([[1.0]], labels=[1, 2])
    for options in ({"threshold": 0.0}, {"threshold": 1.5}, {"clusters": 0}):
        with pytest.raises(ConfigError):
            near_vectors([[1.0]], **options)
