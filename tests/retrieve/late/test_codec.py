"""Residual codes: bytes and back, the nearest centroid by brute force, k-means on planted clusters, native and not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.retrieve.late import _kmeans
from pilotfish.retrieve.late._kmeans import centroids_of, spherical
from pilotfish.retrieve.late._native import library
from pilotfish.retrieve.late._nearest import Nearest
from pilotfish.retrieve.late.codec import BITS, Codec, centroids_for, packed, unpacked
from tests.retrieve.late.made import documents, unit

needs_compiler = pytest.mark.skipif(library() is None, reason="no C compiler here")
VECTORS = np.concatenate(documents(400))


@pytest.mark.parametrize("bits", BITS)
@given(rows=st.integers(0, 5), width=st.integers(1, 33), seed=st.integers(0, 99))
def test_buckets_to_bytes_and_back(bits: int, rows: int, width: int, seed: int) -> None:
    buckets = np.random.default_rng(seed).integers(0, 1 << bits, (rows, width)).astype(np.uint8)
    put = packed(buckets, bits)
    assert put.shape == (rows, -(-width * bits // 8))
    np.testing.assert_array_equal(unpacked(put, bits)[:, :width], buckets)


def test_the_first_of_a_byte_lies_in_its_lowest_bits() -> None:
    assert packed(np.array([[1, 2, 3]], np.uint8), 4).tolist() == [[1 | 2 << 4, 3]]
    assert packed(np.array([[1, 0, 1]], np.uint8), 1).tolist() == [[5]]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("dimension", [7, 24])
def test_the_nearest_is_that_of_all(native: bool, dimension: int) -> None:
    random = np.random.default_rng(dimension)
    centroids = unit(random.normal(size=(150, dimension)))
    vectors = unit(random.normal(size=(5000, dimension)))
    expected = (vectors.astype(float) @ centroids.astype(float).T).argmax(axis=1)
    flat = Nearest(centroids, native=native)
    np.testing.assert_array_equal(flat.of(vectors, threads=3), expected)
    np.testing.assert_array_equal(flat.of(vectors[17:18]), expected[17:18])
    groups = random.integers(0, 12, 150).astype(np.int32)
    grouped = Nearest(centroids, groups, probed=12, native=native)
    np.testing.assert_array_equal(grouped.of(vectors, threads=2), expected)


def test_of_equal_centroids_the_smaller_number() -> None:
    one = unit(np.random.default_rng(0).normal(size=(1, 8)))
    centroids = np.concatenate([-one, one, one])
    for native in (False, True):
        for groups in (None, np.array([0, 1, 0], np.int32)):
            assert Nearest(centroids, groups, native=native).of(one).tolist() == [1]


@needs_compiler
def test_only_the_nearest_groups_are_looked_at_in_both_ways() -> None:
    centroids, groups = VECTORS[:300], np.random.default_rng(1).integers(0, 30, 300).astype(np.int32)
    plain, native = (Nearest(centroids, groups, probed=3, native=native).of(VECTORS) for native in (False, True))
    np.testing.assert_array_equal(plain, native)
    whole = Nearest(centroids).of(VECTORS)
    assert (plain != whole).any()  # chosen by chance, the groups hide the best ones of some


def test_planted_clusters_are_found() -> None:
    random = np.random.default_rng(3)
    middles = unit(np.eye(16)[:8] + 0.01 * random.normal(size=(8, 16)))
    vectors = unit(np.repeat(middles, 40, axis=0) + 0.02 * random.normal(size=(320, 16)))
    for native in (False, True):
        found = spherical(vectors, 8, np.random.default_rng(5), rounds=20, native=native)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        best = (found @ middles.T).max(axis=1)
        assert np.median(best) > 0.999
    # Each begun at a vector of a cluster of its own: the mean of each, closed.
    found = spherical(vectors[::40], 8, np.random.default_rng(0))
    assert sorted(map(tuple, found.round(5))) == sorted(map(tuple, vectors[::40].round(5)))


def test_two_levels_are_nearly_as_good_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    one, groups = centroids_of(VECTORS, 256, np.random.default_rng(0))
    assert groups is None
    monkeypatch.setattr(_kmeans, "_FLAT", 64)
    two, groups = centroids_of(VECTORS, 256, np.random.default_rng(0))
    assert groups is not None
    assert two.shape == one.shape
    assert len(groups) == 256
    fits = [float((VECTORS @ found.T).max(axis=1).mean()) for found in (one, two)]
    assert fits[1] > fits[0] - 0.01
    got = Nearest(two, groups).of(VECTORS)
    assert (got == (VECTORS @ two.T).argmax(axis=1)).mean() > 0.97


@needs_compiler
@pytest.mark.parametrize("bits", BITS)
def test_what_is_kept_is_the_same_by_numpy(bits: int) -> None:
    codec = Codec.fit(VECTORS, 128, bits=bits)
    plain = Codec(codec.centroids, codec.cuts, codec.weights, bits, codec.groups, native=False)
    for mine, theirs in zip(codec.encode(VECTORS), plain.encode(VECTORS), strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_more_bits_are_nearer() -> None:
    near = []
    for bits in BITS:
        codec = Codec.fit(VECTORS, 128, bits=bits)
        found = codec.decode(*codec.encode(VECTORS))
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        near.append(float(np.einsum("ij,ij->i", found, VECTORS).mean()))
    assert near == sorted(near)
    assert near[-1] > 0.99


def test_a_bucket_stands_for_the_mean_of_what_falls_into_it() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(19, 6)))
    codec = Codec.fit(vectors, 4, bits=2)  # so few that none is held back
    codes, residuals = codec.encode(vectors)
    rest = vectors - codec.centroids[codes]
    buckets = unpacked(residuals, 2)[:, :6]
    for bucket in range(4):
        inside = rest[buckets == bucket]
        assert abs(float(inside.mean()) - codec.weights[bucket]) < 0.02
        low = codec.cuts[bucket - 1] if bucket else -np.inf
        high = codec.cuts[bucket] if bucket < 3 else np.inf
        assert ((inside > low) & (inside <= high)).all()


def test_saved_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kmeans, "_FLAT", 64)
    codec = Codec.fit(VECTORS, 128, bits=2, seed=3)
    codec.save(tmp_path)
    again = Codec.load(tmp_path, 2)
    assert again.identity == codec.identity
    assert again.identity != Codec.fit(VECTORS, 128, bits=2, seed=4).identity
    for mine, theirs in zip(codec.encode(VECTORS), again.encode(VECTORS), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_how_many_centroids() -> None:
    assert [centroids_for(n) for n in (1, 2, 100, 10_000, 1_000_000)] == [1, 2, 100, 1024, 8192]
    assert all(centroids_for(n) & (centroids_for(n) - 1) == 0 for n in (10**4, 10**5, 10**6, 10**7))


def test_few_vectors_and_none() -> None:
    one = VECTORS[:1]
    codec = Codec.fit(one, 16)
    np.testing.assert_allclose(codec.decode(*codec.encode(one)), one, atol=1e-3)
    with pytest.raises(DataError, match="no token"):
        Codec.fit(VECTORS[:0], 4)
    with pytest.raises(ConfigError, match="1, 2 or 4, not 3"):
        Codec.fit(VECTORS, 4, bits=3)
