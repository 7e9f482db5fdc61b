"""A decoder in plain torch, from an `Architecture` alone: any device, no compiler needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pilotfish.decode._cached import CachedDecoder, by_length
from pilotfish.decode._torch_graph import Graphs
from pilotfish.decode._torch_linear import check_kernels
from pilotfish.decode._torch_network import Network
from pilotfish.decode._torch_plan import plan_of
from pilotfish.decode._torch_slots import Slot, Slots
from pilotfish.decode.arch import Architecture
from pilotfish.errors import ConfigError

__all__ = ["TorchDecoder"]

# Prompts run in pieces of so many tokens, so that masks and activations stay small.
PIECE = 512


class TorchDecoder(CachedDecoder):
    """An architecture as a `Decoder`: the tokens of all rows packed into one pass, a shared cache of slots.

    On CUDA, steps of one token a row run as CUDA graphs.

    Args:
        arch: what to compute (`_arch_read.read`); its memory is used as it is.
        exits: layers whose early-exit logits are wanted (0: the embedding).
        layers: only the first so many layers, the final norm and the head after them; None: all.
        quantize: "none", "int8" or "int4": weight-only, the head in eight bits at least.
        fused: whether to copy matrices that share an input into one, for a second copy of those weights; None: on CUDA
            only. On one CPU thread it takes a tenth off a step of SmolLM2-135M in bfloat16 (measured).

    Raises:
        ConfigError: no such layer or exit, or torch has no kernel for `quantize` on the device.
    """

    def __init__(
        self,
        arch: Architecture,
        exits: Sequence[int] = (),
        layers: int | None = None,
        quantize: str = "none",
        *,
        fused: bool | None = None,
    ) -> None:
        depth = len(arch.layers) if layers is None else layers
        if not 1 <= depth <= len(arch.layers):
            raise ConfigError(f"layers must be from 1 to {len(arch.layers)}, not {layers}")
        device = arch.embedding.device
        super().__init__(vocabulary=arch.vocabulary, length=arch.length, device=device, exits=exits, depth=depth)
        check_kernels(quantize, device)
        self.arch = arch
        with torch.inference_mode():
            self._network = Network(arch, depth, quantize, device.type == "cuda" if fused is None else fused)
            self._slots = Slots(depth, arch.kv_heads, arch.head_dim, arch.embedding.dtype, device)
        self._group = arch.heads // arch.kv_heads
        self._graphs = Graphs(self._network, self._slots, self._group) if device.type == "cuda" and not exits else None

    @property
    def weight_bytes(self) -> int:
        """How many bytes of matrices one token reads."""
        return self._network.bytes

    def _open(self) -> Any:
        return self._slots.open()

    def _crop(self, cache: Slot, length: int) -> None:
        cache.length = min(cache.length, length)

    def _compact(self, cache: Slot, length: int, path: Sequence[int]) -> None:
        self._slots.compact(cache, length, path)

    def _copy(self, cache: Slot) -> Slot:
        return self._slots.copy(cache)

    def _drop(self, cache: Slot) -> None:
        self._slots.close(cache)

    def _run(
        self, caches: list[Slot], tokens: list[list[int]], parents: list[list[int]] | None, last: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        if not last:
            return self._pass(caches, tokens, parents, False)
        logits: list[Tensor] = [torch.empty(0)] * len(caches)
        early: list[Tensor] = [torch.empty(0)] * len(caches)
        for group in by_length([len(more) for more in tokens], PIECE):
            longest = max(len(tokens[i]) for i in group)
            # All but the last piece only fill the cache.
            for start in range(0, longest, PIECE):
                here = [i for i in group if len(tokens[i]) > start]
                piece = [tokens[i][start : start + PIECE] for i in here]
                out, exits = self._pass([caches[i] for i in here], piece, None, True)
                for row, i in enumerate(here):
                    logits[i] = out[row]
                    if exits:
                        early[i] = exits[row]
        return logits, early if self.exits else []

    def _pass(
        self, caches: list[Slot], tokens: list[list[int]], parents: list[list[int]] | None, last: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        counts = [len(more) for more in tokens]
        width = max(slot.length + count for slot, count in zip(caches, counts, strict=True))
        self._slots.reserve(width)
        self._network.reserve(width)
        if self._graphs is not None and max(counts) == 1:
            logits = self._graphs.step(caches, [more[0] for more in tokens])
            early = None
        else:
            plan = plan_of(caches, counts, parents, self._network.windows, self._group, self.device)
            ids = torch.tensor([token for more in tokens for token in more], device=self.device)
            ends = torch.tensor(counts).cumsum(0) - 1
            only = ends.to(self.device) if last else None
            logits, early = self._network(ids, plan, self._slots.buffers, self.exits, only)
        for slot, count in zip(caches, counts, strict=True):
            slot.length += count
        parts = [1] * len(counts) if last else counts
        return list(logits.split(parts)), [] if early is None else list(early.split(parts))
