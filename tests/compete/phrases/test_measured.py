"""Measures of phrase vectors: brute force, closed forms, scipy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

import pilotfish.compete.phrases.measured as module
from pilotfish.compete.phrases.measured import above, again, by_kind, correlated, cosines, found_again, spearman
from pilotfish.compete.phrases.pair import Pair
from pilotfish.errors import DataError


class Given:
    """Vectors by a table."""

    def __init__(self, vectors: Mapping[str, ArrayLike]) -> None:
        self.vectors, self.read = vectors, 0

    @property
    def dimension(self) -> int:
        return len(np.asarray(next(iter(self.vectors.values()))))

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        self.read += len(texts)
        return np.array([self.vectors[text] for text in texts], np.float32)


def test_cosines_read_each_phrase_once() -> None:
    encoder = Given({"a": [2, 0], "b": [1, 1], "c": [0, 5]})
    found = cosines(encoder, [("a", "b"), ("b", "c"), ("a", "c"), ("a", "a")])
    np.testing.assert_allclose(found, [0.5**0.5, 0.5**0.5, 0, 1], atol=1e-6)
    assert encoder.read == 3
    assert cosines(encoder, []).shape == (0,)


@given(st.integers(0, 500), st.booleans())
def test_the_rank_of_the_other_phrase_is_brute_force_s(seed: int, small: bool) -> None:
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(9)]
    # Few distinct directions, so that equal cosines come.
    table = {name: rng.integers(-1, 2, 3) + np.array([2.0, 0, 0]) for name in names}
    encoder = Given(table)
    pairs = [Pair(*rng.choice(names, 2, replace=False).tolist()) for _ in range(6)]
    near: dict[str, set[str]] = {name: set() for name in names}
    for pair in pairs:
        near[pair.a].add(pair.b)
        near[pair.b].add(pair.a)
    unit = {name: v / np.linalg.norm(v) for name, v in table.items()}
    used = {text for pair in pairs for text in (pair.a, pair.b)}
    before, module._BLOCK = module._BLOCK, 4 if small else 512
    try:
        found = again(encoder, pairs)
    finally:
        module._BLOCK = before
    for pair, value in zip(pairs, found, strict=True):
        both = []
        for one, other in ((pair.a, pair.b), (pair.b, pair.a)):
            own = float(unit[one] @ unit[other])
            others = [n for n in used if n not in near[one] | {one}]
            both.append(1 / (1 + sum(float(unit[one] @ unit[n]) >= own - 1e-6 for n in others)))
        assert value == pytest.approx(np.mean(both), abs=1e-9)


def test_vectors_that_are_all_alike_find_nothing() -> None:
    pairs = [Pair(f"a{i}", f"b{i}") for i in range(5)]
    alike = Given({text: [1, 1] for pair in pairs for text in (pair.a, pair.b)})
    np.testing.assert_allclose(again(alike, pairs), 1 / 9)
    apart = Given({text: np.eye(5)[i] for i, pair in enumerate(pairs) for text in (pair.a, pair.b)})
    np.testing.assert_allclose(again(apart, pairs), 1)
    with pytest.raises(DataError):
        again(apart, [])


def test_kinds_count_alike_however_many_pairs_they_have() -> None:
    rows = np.array([[1.0, 0], [0.0, 0], [1.0, 0], [0.5, 2], [0.1, 1], [0.3, 1]])
    assert by_kind(rows) == pytest.approx((2 / 3 + 0.2 + 0.5) / 3)
    pairs = [Pair(f"a{i}", f"b{i}", "many") for i in range(10)] + [Pair("x", "y", "few"), Pair("u", "v", "rare")]
    rng = np.random.default_rng(0)
    encoder = Given({text: rng.normal(size=4) for pair in pairs for text in (pair.a, pair.b)})
    found = found_again(encoder, pairs)
    np.testing.assert_array_equal(found[:, 0], again(encoder, pairs))
    assert found[:, 1].tolist() == [0.0] * 10 + [1.0] * 2  # what is rare is one kind together


def test_spearman_is_scipy_s() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 6, (80, 2)).astype(float)
    assert spearman(rows) == pytest.approx(spearmanr(rows)[0], abs=1e-9)
    assert spearman(np.ones((4, 2))) == 0
    told = correlated(rows[:, 0], rows[:, 1], resamples=200)
    assert told.low <= told.value <= told.high and told.value == pytest.approx(spearman(rows))


def test_what_orders_better_is_above() -> None:
    rng = np.random.default_rng(0)
    people = rng.normal(size=200)
    good, bad = people + 0.3 * rng.normal(size=200), people + 3 * rng.normal(size=200)
    gap = above(good, bad, people, resamples=300)
    assert gap.low > 0 and gap.n == 200
    assert gap.value == pytest.approx(spearmanr(good, people)[0] - spearmanr(bad, people)[0], abs=1e-9)
