"""The keys and values of one row, in the layout of `csrc/model.h`, in buffers that grow by doubling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["RowCache"]

BLOCK = 16  # keys side by side
_LEAST = 64


class RowCache:
    """One row: `ids` are the tokens whose keys and values are held, in the order of their places.

    Attributes:
        straight: how many of them, from the first, follow one another; what comes after is a tree.
    """

    def __init__(self, layers: int, heads: int, head_dim: int, value_dim: int, dtype: Any) -> None:
        self._sizes = (layers, heads, head_dim, value_dim)
        self._dtype = np.dtype(dtype)  # float32, or uint16 for bfloat16
        self.ids: list[int] = []
        self.straight = 0
        self.capacity = 0
        self.keys: np.ndarray[Any, Any] = np.empty(0, dtype)
        self.values: np.ndarray[Any, Any] = np.empty(0, dtype)

    @property
    def bytes(self) -> int:
        """How much memory the buffers take."""
        return int(self.keys.nbytes + self.values.nbytes)

    def append(self, ids: Sequence[int], *, tree: bool = False) -> None:
        """Note tokens whose keys and values were written."""
        self.ids.extend(ids)
        if not tree:
            self.straight = len(self.ids)

    def crop(self, length: int) -> None:
        """Keep the first `length` tokens."""
        del self.ids[length:]
        self.straight = min(self.straight, length)

    def reserve(self, length: int) -> None:
        """Make room for `length` tokens in all."""
        if length > self.capacity:
            self._allocate(max(_LEAST, length + BLOCK, 2 * self.capacity), self, len(self.ids))

    def shrink(self) -> None:
        """Give back what no held token needs, and forget a tree."""
        self.crop(self.straight)
        if self.capacity > len(self.ids) + 2 * BLOCK:
            self._allocate(len(self.ids), self, len(self.ids))

    def copy(self) -> RowCache:
        """Return an independent copy."""
        made = RowCache(*self._sizes, self._dtype)
        made._allocate(len(self.ids) + _LEAST, self, len(self.ids))
        made.ids, made.straight = list(self.ids), self.straight
        return made

    def take(self, other: RowCache, length: int, *, room: int) -> None:
        """Become a copy of the first `length` tokens of another row, with room for `room` and some more."""
        self._allocate(room + _LEAST, other, length)
        self.ids, self.straight = other.ids[:length], length

    def compact(self, length: int, path: Sequence[int]) -> None:
        """Keep the first `length` tokens and, after them, those at `length + node` for the nodes of `path`."""
        old = np.array([length + node for node in path], dtype=np.int64)
        new = np.arange(length, length + len(path))
        if not np.array_equal(old, new):
            lanes = self._lanes()
            lanes[:, :, new // BLOCK, :, new % BLOCK] = lanes[:, :, old // BLOCK, :, old % BLOCK]
            self.values[:, :, new] = self.values[:, :, old]
        self.ids[length:] = [self.ids[at] for at in old]
        self.straight = len(self.ids)

    def _lanes(self) -> np.ndarray[Any, Any]:
        """Keys as (layers, heads, blocks, dimensions or pairs of them, 16): the last index is the key in its block."""
        layers, heads, head_dim, _ = self._sizes
        if self._dtype == np.float32:
            return self.keys.reshape(layers, heads, -1, head_dim, BLOCK)
        return self.keys.view(np.uint32).reshape(layers, heads, -1, head_dim // 2, BLOCK)

    def _allocate(self, capacity: int, source: RowCache, held: int) -> None:
        """Take new buffers, and copy the first `held` tokens from those of `source`."""
        layers, heads, head_dim, value_dim = self._sizes
        capacity = -(-capacity // BLOCK) * BLOCK
        keys = np.empty((layers, heads, capacity // BLOCK, head_dim * BLOCK), self._dtype)
        values = np.empty((layers, heads, capacity, value_dim), self._dtype)
        if held:
            blocks = -(-held // BLOCK)
            keys[:, :, :blocks] = source.keys[:, :, :blocks]
            values[:, :, :held] = source.values[:, :, :held]
        self.keys, self.values, self.capacity = keys, values, capacity
