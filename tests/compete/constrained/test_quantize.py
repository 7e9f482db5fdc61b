from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.constrained.quantize import group_of, grouped, packed, rows_of


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 8]), st.sampled_from([16, 32]), st.floats(-3, 3))
def test_a_weight_lies_within_a_step_of_its_code(seed: int, bits: int, size: int, middle: float) -> None:
    weight = np.random.default_rng(seed).normal(middle, 1, (3, 2 * size)).astype(np.float32)
    found = grouped(weight, bits, size)
    assert found.codes.shape == (3, 2, size) and found.codes.max() < 1 << bits
    # Half a step for the weight, and half a one more where the zero point was rounded.
    step = np.repeat(found.scales, size, axis=1)
    assert (np.abs(found.weight - weight) <= step * 1.001).all()


def test_zero_stays_zero() -> None:
    weight = np.array([[0.0] * 8 + [1.0, 2.0] * 4, [3.0] * 8 + [0.0] * 8], dtype=np.float32)
    found = grouped(weight, 4, 16)
    assert (found.weight[weight == 0] == 0).all()
    assert np.abs(found.weight - weight).max() < 0.11


def test_eight_bits_lose_less_than_four() -> None:
    weight = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    loss = {bits: float(np.square(grouped(weight, bits, 32).weight - weight).mean()) for bits in (4, 8)}
    assert loss[8] < loss[4] / 100


def test_codes_are_packed_two_a_byte_the_first_in_the_low_half() -> None:
    assert packed(np.array([[1, 2, 15, 0]], np.uint8)).tolist() == [[0x21, 0x0F]]
    assert packed(np.array([[1, 2, 3]], np.uint8)).tolist() == [[0x21, 0x03]]


@given(st.integers(0, 2**32 - 1))
def test_rows_in_eight_bits(seed: int) -> None:
    weight = np.random.default_rng(seed).normal(size=(5, 12)).astype(np.float32)
    codes, scales = rows_of(weight)
    assert codes.dtype == np.int8 and scales.shape == (5, 1)
    assert (np.abs(codes * scales - weight) <= scales * 0.5001).all()
    assert rows_of(np.zeros((1, 4), np.float32))[0].tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(("inputs", "size"), [(64, 32), (48, 16), (96, 32), (24, None)])
def test_groups_divide_the_inputs(inputs: int, size: int | None) -> None:
    assert group_of(inputs) == size
