"""The torch decoder's cache: one buffer a layer for all rows, a slot a row, grown by doubling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

__all__ = ["Slot", "Slots"]

COLUMNS = 256


@dataclass(eq=False)
class Slot:
    """A row's place in the buffers and how many tokens it holds there."""

    index: int
    length: int = 0


class Slots:
    """Keys and values of all open rows: `buffers[layer]` is (2, slots, kv_heads, columns, head_dim).

    Token p of a row stands in column p. Columns are never garbage that is not a number: attention multiplies what it
    masks by zero. `version` changes when the buffers move (a CUDA graph holds their addresses).
    """

    def __init__(self, layers: int, kv_heads: int, head_dim: int, dtype: torch.dtype, device: torch.device) -> None:
        self._shape = (kv_heads, head_dim)
        self._options = {"dtype": dtype, "device": device}
        self.buffers = [torch.zeros((2, 0, kv_heads, 0, head_dim), dtype=dtype, device=device) for _ in range(layers)]
        self.free: list[int] = []
        self.slots = self.columns = self.version = 0

    def open(self) -> Slot:
        """Return an empty slot, the lowest that is free."""
        if not self.free:
            self._resize(max(1, 2 * self.slots), self.columns)
        self.free.sort(reverse=True)
        return Slot(self.free.pop())

    def close(self, slot: Slot) -> None:
        """Free a slot; when the last one is, the memory goes back."""
        self.free.append(slot.index)
        if len(self.free) == self.slots:
            self.free, self.slots, self.columns = [], 0, 0
            self.buffers = [buffer.new_zeros((2, 0, self._shape[0], 0, self._shape[1])) for buffer in self.buffers]
            self.version += 1

    def reserve(self, columns: int) -> None:
        """Make room for rows of so many tokens."""
        if columns > self.columns:
            self._resize(self.slots, max(COLUMNS, 2 * self.columns, columns))

    def copy(self, slot: Slot) -> Slot:
        """Return a new slot with the same content."""
        new = self.open()
        new.length = slot.length
        for buffer in self.buffers:
            buffer[:, new.index, :, : slot.length] = buffer[:, slot.index, :, : slot.length]
        return new

    def compact(self, slot: Slot, length: int, path: Sequence[int]) -> None:
        """Keep the first `length` tokens and after them those at `length + node` for each node of the path."""
        if list(path) != list(range(len(path))):
            nodes = torch.tensor([length + node for node in path], device=self.buffers[0].device)
            for buffer in self.buffers:
                # Indexing copies first, so that overlapping moves are safe.
                buffer[:, slot.index, :, length : length + len(path)] = buffer[:, slot.index][:, :, nodes]
        slot.length = length + len(path)

    def _resize(self, slots: int, columns: int) -> None:
        heads, dim = self._shape
        for layer, old in enumerate(self.buffers):
            new = torch.zeros((2, slots, heads, columns, dim), **self._options)
            new[:, : self.slots, :, : self.columns] = old
            self.buffers[layer] = new
        self.free += range(self.slots, slots)
        self.slots, self.columns = slots, columns
        self.version += 1
