"""The keys and values of one row, in the layout of `csrc/model.h`, in buffers that grow by doubling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["RowCache"]

BLOCK = 16  # keys side by side
_LEAST = 64


class RowCache:
    """One row: `ids` are the tokens whose keys and values are held, in the order of their places."""

    def __init__(self, layers: int, heads: int, head_dim: int, value_dim: int, dtype: Any) -> None:
        self._sizes = (layers, heads, head_dim, value_dim)
        self._dtype = np.dtype(dtype)  # float32, or uint16 for bfloat16
        self.ids: list[int] = []
        self.capacity = 0
        self.keys: np.ndarray[Any, Any] = np.empty(0, dtype)
        self.values: np.ndarray[Any, Any] = np.empty(0, dtype)

    @property
    def bytes(self) -> int:
        """How much memory the buffers take."""
        return int(self.keys.nbytes + self.values.nbytes)

    def reserve(self, length: int) -> None:
        """Make room for `length` tokens in all."""
        if length <= self.capacity:
            return
        self._resize(max(_LEAST, length + BLOCK, 2 * self.capacity if self.capacity else 0))

    def copy(self, length: int | None = None) -> RowCache:
        """Return an independent copy of the first `length` tokens (all if None)."""
        made = RowCache(*self._sizes, self._dtype)
        made.ids = self.ids[:length]
        made._fill(self, max(_LEAST, len(made.ids) + _LEAST))
        return made

    def compact(self, length: int, path: Sequence[int]) -> None:
        """Keep the first `length` tokens and, after them, those at `length + node` for the nodes of `path`."""
        old = np.array([length + node for node in path], dtype=np.int64)
        new = np.arange(length, length + len(path))
        self.ids[length:] = [self.ids[at] for at in old]
        if len(path) and not np.array_equal(old, new):
            lanes = self._lanes(self.keys)
            lanes[:, :, new // BLOCK, :, new % BLOCK] = lanes[:, :, old // BLOCK, :, old % BLOCK]
            self.values[:, :, new] = self.values[:, :, old]

    def _lanes(self, keys: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Keys as (layers, heads, blocks, dimensions, 16 or 16 pairs): index 4 is the key within its block."""
        layers, heads, head_dim, _ = self._sizes
        if self._dtype == np.float32:
            return keys.reshape(layers, heads, -1, head_dim, BLOCK)
        return keys.view(np.uint32).reshape(layers, heads, -1, head_dim // 2, BLOCK)

    def _resize(self, capacity: int) -> None:
        old = RowCache(*self._sizes, self._dtype)
        old.keys, old.values, old.capacity = self.keys, self.values, self.capacity
        self._fill(old, capacity)

    def _fill(self, old: RowCache, capacity: int) -> None:
        layers, heads, head_dim, value_dim = self._sizes
        self.capacity = -(-capacity // BLOCK) * BLOCK
        self.keys = np.empty((layers, heads, self.capacity // BLOCK, head_dim * BLOCK), self._dtype)
        self.values = np.empty((layers, heads, self.capacity, value_dim), self._dtype)
        held = min(self.capacity, old.capacity)
        if old.ids or self.ids:
            held = min(held, -(-len(self.ids) // BLOCK) * BLOCK)
        if held:
            self.keys[:, :, : held // BLOCK] = old.keys[:, :, : held // BLOCK]
            self.values[:, :, :held] = old.values[:, :, :held]
