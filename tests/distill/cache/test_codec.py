"""Records of fixed size: their ids exact, their probabilities near, their sum never above 1."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.distill.cache._bits import Sorted, pack, packed_bytes, unpack
from pilotfish.distill.cache._codec import BUDGET, TAIL, Codec
from pilotfish.errors import ConfigError, DataError


def top(vocabulary: int, k: int, rows: int, scale: float, seed: int) -> tuple[Any, Any]:
    """The k likeliest tokens of softmax(scale * normal), and their log-probabilities, likeliest first."""
    logits = scale * np.random.default_rng(seed).normal(size=(rows, vocabulary))
    logs = logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
    logs -= logits.max(1, keepdims=True)
    ids = np.argsort(-logs, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(logs, ids, axis=1).astype(np.float32)


def by_id(ids: Any, logs: Any) -> tuple[Any, Any]:
    order = np.argsort(ids, axis=1)
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(logs, order, axis=1)


@given(
    width=st.integers(0, 20),
    rows=st.integers(0, 5),
    count=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_numbers_of_any_width_come_back(width: int, rows: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << width, size=(rows, count))
    packed = pack(values, width)
    assert packed.shape == (rows, packed_bytes(count, width))
    assert packed.shape[1] <= -(-count * width // 8) + 3  # a part of a byte lost for each piece at most
    np.testing.assert_array_equal(unpack(packed, count, width), values)


@given(limit=st.integers(1, 200_000), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_sorted_rows_come_back_within_a_bit_of_what_is_needed(limit: int, share: float, seed: int) -> None:
    count = max(1, min(limit, int(share * 200)))
    random = np.random.default_rng(seed)
    rows = np.sort(np.array([random.choice(limit, count, replace=False) for _ in range(3)]), axis=1)
    # The hardest rows: all at the beginning, all at the end.
    rows = np.concatenate([rows, [np.arange(count)], [np.arange(limit - count, limit)]])
    form = Sorted(limit, count)
    packed = form.pack(rows)
    assert packed.shape == (5, form.bytes)
    np.testing.assert_array_equal(form.unpack(packed), rows)
    assert form.bytes <= count * (2 + max(0.0, np.log2(limit / count))) / 8 + 5


@pytest.mark.parametrize(("vocabulary", "bits", "size"), [(49_152, 8, 300), (151_936, 6, 295)])
def test_a_record_of_128_tokens_is_within_300_bytes(vocabulary: int, bits: int, size: int) -> None:
    codec = Codec(vocabulary, 128)
    assert (codec.bits, codec.record) == (bits, size)
    assert codec.record <= BUDGET


def test_smaller_and_larger_k_keep_their_share_of_the_budget() -> None:
    assert Codec(49_152, 16).bits == 8
    assert Codec(151_936, 256).record <= 2 * BUDGET
    assert Codec(10_000_000, 128).bits == 4  # over the budget rather than useless


@pytest.mark.parametrize("vocabulary", [49_152, 151_936])
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_the_error_is_half_a_step_and_less_where_the_mass_is(vocabulary: int, scale: float) -> None:
    codec = Codec(vocabulary, 128)
    ids, logs = by_id(*top(vocabulary, 128, 8, scale, 1))
    found_ids, found = codec.decode(codec.encode(ids, logs))
    np.testing.assert_array_equal(found_ids, ids)
    assert (str(found_ids.dtype), str(found.dtype)) == ("int64", "float32")
    error = np.abs(found - logs)
    step = 1.25 * (logs.max(1) - logs.min(1)) / (2**codec.bits - 1)
    # Beside the half step: 2.5e-4 of the tail's mass, and what scaling moves all tokens by.
    assert (error.max(1) < 0.6 * step + 5e-4).all()
    assert ((np.exp(logs) * error).sum(1) / np.exp(logs).sum(1) < 0.25 * step + 5e-4).all()
    tails = 1 - np.exp(found.astype(float)).sum(1), 1 - np.exp(logs.astype(float)).sum(1)
    np.testing.assert_allclose(*tails, rtol=3e-4)


@given(
    vocabulary=st.integers(2, 3000),
    k=st.integers(1, 300),
    bits=st.none() | st.integers(1, 8),
    scale=st.sampled_from([0.0, 1e-3, 0.1, 1.0, 10.0, 100.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_sum_never_passes_what_leaves_a_tail(
    vocabulary: int, k: int, bits: int | None, scale: float, seed: int
) -> None:
    codec = Codec(vocabulary, k, bits)
    ids, logs = top(vocabulary, codec.k, 6, scale, seed)
    found_ids, found = codec.decode(codec.encode(ids, logs))
    np.testing.assert_array_equal(found_ids, np.sort(ids, axis=1))
    assert np.isfinite(found).all()
    exact = np.exp(found.astype(np.float64)).sum(axis=1)
    in_float32 = np.exp(found).sum(axis=1)
    if codec.k < vocabulary:
        assert (exact <= 1 - TAIL / 2).all()
        assert (in_float32 < 1).all()
    else:
        np.testing.assert_allclose(exact, 1, atol=1e-6)


def test_ties_certainty_and_the_impossible() -> None:
    codec = Codec(1000, 4)
    rows = np.array(
        [
            [-1.5, -1.5, -1.5, -1.5],  # all equal
            [0.0, -50.0, -60.0, -np.inf],  # one certain, one impossible
            [-9.0, -9.0, -9.0, -9.5],  # nearly all of it in the tail
            [-1e-4, -10.0, -10.0, -11.0],  # nearly nothing in the tail
        ],
        np.float32,
    )
    ids, found = codec.decode(codec.encode(np.tile([999, 0, 5, 4], (4, 1)), rows))
    assert ids.tolist() == [[0, 4, 5, 999]] * 4
    np.testing.assert_allclose(np.exp(found[[0, 2, 3]]), np.exp(rows[[0, 2, 3]][:, [1, 3, 2, 0]]), rtol=0.02)
    assert found[1, 3] == pytest.approx(0, abs=2e-6)
    assert (found[1, :3] < -31).all()


def test_all_of_a_small_vocabulary_is_kept() -> None:
    codec = Codec(5, 128)
    ids, logs = top(5, 5, 3, 1.0, 0)
    found_ids, found = codec.decode(codec.encode(ids, logs))
    assert found_ids.tolist() == [list(range(5))] * 3
    np.testing.assert_allclose(np.exp(found), np.exp(by_id(ids, logs)[1]), rtol=0.02)


def test_no_rows_are_no_rows() -> None:
    codec = Codec(49_152)
    records = codec.encode(np.zeros((0, 128), np.int64), np.zeros((0, 128), np.float32))
    assert records.shape == (0, 300)
    assert [array.shape for array in codec.decode(records)] == [(0, 128), (0, 128)]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Codec(100, 0)
    with pytest.raises(ConfigError, match="bits"):
        Codec(100, 4, 9)
    codec = Codec(100, 2)
    good = np.log(np.array([[0.5, 0.25]], np.float32))
    for ids, logs, said in [
        ([[1, 1]], good, "distinct"),
        ([[1, 100]], good, "from 0 to 99"),
        ([[-1, 1]], good, "from 0 to 99"),
        ([[1, 2]], good + np.nan, "NaN"),
        ([[1, 2]], good + 1, "above 0"),
        ([[1, 2]], good - np.inf, "minus infinity"),
        ([[1, 2, 3]], good, "2 tokens"),
    ]:
        with pytest.raises(DataError, match=said):
            codec.encode(np.array(ids), logs)
    with pytest.raises(DataError, match="damaged"):
        codec.decode(np.zeros((3, codec.record), np.uint8))


def test_two_thousand_records_are_read_in_milliseconds() -> None:
    for vocabulary in (49_152, 151_936):
        codec = Codec(vocabulary, 128)
        ids, logs = top(vocabulary, 128, 8, 2.0, 3)
        records = np.tile(codec.encode(ids, logs), (256, 1))
        assert len(records) == 2048
        best = min(_seconds(codec, records) for _ in range(7))
        assert best < 0.05  # measured: 1.3 and 1.8 ms


def _seconds(codec: Codec, records: Any) -> float:
    begun = time.perf_counter()
    codec.decode(records)
    return time.perf_counter() - begun
