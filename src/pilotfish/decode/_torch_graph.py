"""CUDA graphs for steps of one token a row: the step is recorded once and replayed without Python in between.

A graph has fixed shapes: rows are padded to a power of two (padding rows write to the last column of a spare slot), and
attention reads a power of two of columns, masked. Not run so far: no GPU was at hand. The arithmetic is that of
`plan_of_one_each`, which is tested on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pilotfish.decode._torch_network import Network
from pilotfish.decode._torch_plan import plan_of_one_each
from pilotfish.decode._torch_slots import Slot, Slots

__all__ = ["Graphs"]


@dataclass
class _Recorded:
    graph: Any
    ids: Tensor
    slots: Tensor
    positions: Tensor
    logits: Tensor


class Graphs:
    """Records and replays one-token steps of a network, one graph for each number of rows and columns."""

    def __init__(self, network: Network, slots: Slots, group: int) -> None:
        self._network, self._slots, self._group = network, slots, group
        self._graphs: dict[tuple[int, int], _Recorded] = {}
        self._version = -1
        self._spare: Slot | None = None

    def step(self, rows: Sequence[Slot], tokens: Sequence[int]) -> Tensor:
        """Return float32 logits (rows, vocabulary); the caller has reserved room and moves the lengths."""
        padded = 1 << (len(rows) - 1).bit_length()
        if padded > len(rows) and self._spare is None:
            self._spare = self._slots.open()
        longest = max(row.length for row in rows) + 1
        width = min(self._slots.columns, 1 << max(8, (longest - 1).bit_length()))
        if self._version != self._slots.version:
            # The buffers have moved: what was recorded points to memory that is gone.
            self._graphs.clear()
            self._version = self._slots.version
        self._network.reserve(self._slots.columns)
        recorded = self._graphs.get((padded, width))
        if recorded is None:
            recorded = self._graphs[padded, width] = self._record(padded, width, rows[0])
        spare = padded - len(rows)
        self._fill(recorded.ids, [*tokens, *[0] * spare])
        self._fill(recorded.positions, [*(row.length for row in rows), *[width - 1] * spare])
        self._fill(recorded.slots, [*(row.index for row in rows), *[self._spare.index if self._spare else 0] * spare])
        recorded.graph.replay()
        return recorded.logits[: len(rows)].clone()

    def _record(self, rows: int, width: int, row: Slot) -> _Recorded:
        device = self._slots.buffers[0].device
        # Warming up and recording write one key and value: to the column that the coming step overwrites anyway.
        ids = torch.zeros(rows, dtype=torch.long, device=device)
        slots = torch.full((rows,), row.index, dtype=torch.long, device=device)
        positions = torch.full((rows,), row.length, dtype=torch.long, device=device)

        def run() -> Tensor:
            plan = plan_of_one_each(slots, positions, width, self._network.windows, self._group)
            return self._network(ids, plan, self._slots.buffers, (), None)[0]

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = run()
        return _Recorded(graph, ids, slots, positions, logits)

    @staticmethod
    def _fill(tensor: Tensor, values: Sequence[int]) -> None:
        tensor.copy_(torch.tensor(list(values)))
