"""Weights in 8 and 4 bits: round to nearest, with a scale a row, or a scale and a zero point for each group of inputs.

Source of groups with zero points: Dettmers and Zettlemoyer 2023 (The case for 4-bit precision, section 2); the numbers
are the same for every runtime, so that two of them differ in their arithmetic only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Groups", "group_of", "grouped", "packed", "rows_of"]

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Groups:
    """A weight (out, in) in groups of inputs: w = (code - zero) * scale.

    Attributes:
        codes: (out, groups, size).
        scales: (out, groups).
        zeros: (out, groups), codes that stand for 0.
        bits: of a code.
    """

    codes: Codes
    scales: Floats
    zeros: Codes
    bits: int

    @property
    def weight(self) -> Floats:
        """The weight that this stands for, (out, in)."""
        wide = (self.codes.astype(np.float32) - self.zeros[..., None]) * self.scales[..., None]
        return np.asarray(wide.reshape(len(self.codes), -1), dtype=np.float32)


def group_of(inputs: int) -> int | None:
    """Return the size of the groups of so many inputs: 32, or 16; None where neither divides them."""
    return next((size for size in (32, 16) if inputs % size == 0), None)


def grouped(weight: Floats, bits: int, size: int) -> Groups:
    """Return a weight (out, in) in groups of `size` inputs; 0 is always told exactly.

    Args:
        weight: what is rounded.
        bits: 4 or 8.
        size: of a group; it divides the inputs.
    """
    wide = weight.reshape(len(weight), -1, size)
    low, high = np.minimum(wide.min(axis=2), 0), np.maximum(wide.max(axis=2), 0)
    top = (1 << bits) - 1
    scales = np.maximum((high - low) / top, 1e-12).astype(np.float32)
    zeros = np.clip(np.round(-low / scales), 0, top).astype(np.uint8)
    codes = np.clip(np.round(wide / scales[..., None]) + zeros[..., None], 0, top).astype(np.uint8)
    return Groups(codes, scales, zeros, bits)


def packed(codes: Codes) -> Codes:
    """Return codes of 4 bits two a byte along the last axis, the first in the low half; an odd one stands alone."""
    if codes.shape[-1] % 2:
        codes = np.concatenate([codes, np.zeros((*codes.shape[:-1], 1), np.uint8)], axis=-1)
    return np.asarray(codes[..., ::2] | (codes[..., 1::2] << 4), dtype=np.uint8)


def rows_of(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return a weight (rows, columns) in 8 bits with a scale a row, and the scales (rows, 1)."""
    scales = np.maximum(np.abs(weight).max(axis=1, keepdims=True) / 127, 1e-12).astype(np.float32)
    return np.round(weight / scales).astype(np.int8), scales
