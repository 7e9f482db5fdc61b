"""Rows of small whole numbers in few bytes: packed bits, and sorted rows in Elias-Fano form.

All is laid out so that numpy unpacks thousands of rows at once, without a loop over numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Sorted", "pack", "packed_bytes", "unpack"]


def _planes(width: int) -> list[int]:
    """Return the sizes of the pieces a number is cut into, low bits first: 10 is 8 + 2, and no piece crosses a byte."""
    return [8] * (width // 8) + [size for size in (4, 2, 1) if width % 8 & size]


def packed_bytes(count: int, width: int) -> int:
    """Return the bytes that `count` numbers of `width` bits take."""
    return sum(-(-count * size // 8) for size in _planes(width))


def pack(values: NDArray[Any], width: int) -> NDArray[np.uint8]:
    """Return whole numbers below 2^width, (rows, count), as bytes (rows, packed_bytes)."""
    rows, count = values.shape
    out = np.zeros((rows, packed_bytes(count, width)), np.uint8)
    shift = at = 0
    for size in _planes(width):
        piece = ((values >> shift) & ((1 << size) - 1)).astype(np.uint8)
        end = at + -(-count * size // 8)
        for j in range(8 // size):
            column = piece[:, j :: 8 // size]
            out[:, at : at + column.shape[1]] |= column << np.uint8(size * j)
        shift, at = shift + size, end
    return out


def unpack(packed: NDArray[np.uint8], count: int, width: int) -> NDArray[Any]:
    """Return the numbers, (rows, count), of `pack`: uint8 where the width allows, else int64."""
    out = np.zeros((len(packed), count), np.uint8 if width <= 8 else np.int64)
    shift = at = 0
    for size in _planes(width):
        end = at + -(-count * size // 8)
        for j in range(8 // size):
            column = out[:, j :: 8 // size]
            piece = (packed[:, at : at + column.shape[1]] >> np.uint8(size * j)) & np.uint8((1 << size) - 1)
            column |= piece.astype(out.dtype) << out.dtype.type(shift)
        shift, at = shift + size, end
    return out


class Sorted:
    """Rows of `count` rising numbers below `limit`, in Elias-Fano form.

    The low bits of each number stand as they are. The high bits are one string of bits: number i sets the bit
    (its high bits + i). Within half a bit a number of what any form needs that takes all rows to be as likely
    (Elias 1974; Fano 1971).
    """

    def __init__(self, limit: int, count: int) -> None:
        self.count = count
        sizes = [packed_bytes(count, low) + self._string(limit, low) for low in range(limit.bit_length() + 1)]
        self.bytes = min(sizes)
        self.low = sizes.index(self.bytes)
        self._low_bytes = packed_bytes(count, self.low)

    def _string(self, limit: int, low: int) -> int:
        """Return the bytes of the string of high bits."""
        return -(-(self.count + ((limit - 1) >> low)) // 8)

    def pack(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return rising numbers, (rows, count), as (rows, bytes)."""
        bits = np.zeros((len(numbers), 8 * (self.bytes - self._low_bytes)), np.uint8)
        np.put_along_axis(bits, (numbers >> self.low) + np.arange(self.count), 1, axis=1)
        return np.concatenate([pack(numbers, self.low), np.packbits(bits, axis=1)], axis=1)

    def unpack(self, packed: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the numbers, (rows, count), of `pack`.

        Raises:
            DataError: these bytes are no such rows.
        """
        bits = np.unpackbits(packed[:, self._low_bytes :], axis=1)
        ones = np.flatnonzero(bits.view(np.bool_))
        if len(ones) != len(packed) * self.count:
            raise DataError("the ids of a record are damaged")
        high: NDArray[np.int64] = (
            ones.reshape(len(packed), self.count) - np.arange(len(packed))[:, None] * bits.shape[1]
        )
        high -= np.arange(self.count)
        if not self.low:
            return high
        high <<= self.low
        high |= unpack(packed, self.count, self.low)
        return high
