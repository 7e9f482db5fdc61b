"""The native decoder: any `Architecture` on the CPU, a whole step in one call of the C library."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pilotfish.decode._ancestors import ancestors
from pilotfish.decode._cached import CachedDecoder
from pilotfish.decode.arch import Architecture
from pilotfish.decode.native import _structs
from pilotfish.decode.native._cache import RowCache
from pilotfish.decode.native._reuse import Reuse, common
from pilotfish.decode.native._weights import Weights, rope_table
from pilotfish.decode.native.build import library
from pilotfish.decode.quantize import Quantize
from pilotfish.errors import ConfigError, ModelError

__all__ = ["NativeDecoder"]

# The most tokens in one call while prompts are run: enough to keep the arithmetic busy, few enough for small buffers.
CHUNK = 256
# Prompts of one call that share so many tokens are run one after the other, the second from a copy of the first.
WAIT = 64


class NativeDecoder(CachedDecoder):
    """A decoder-only transformer on the CPU, compiled for this machine.

    Weights in float32 and bfloat16 are used where they lie. Arithmetic is float32, except that what a linear reads is
    rounded to bfloat16 for bfloat16 weights and to 8 bits by groups of 32 for quantised ones. A token's logits do not
    depend, to the last bit, on the rows and tokens fed beside it, nor on the number of threads.

    Args:
        arch: the model.
        quantize: keep packed copies of the linears' weights: "lossless" bfloat16 in 12 bits, "int8" by rows, "int4" by
            groups of 32 (the head 8 bits).
        exits: layers whose early-exit logits are wanted (0: the embedding).
        layers: compute with only the first so many layers.
        threads: how many threads a step has; torch's number if None.

    Raises:
        NativeUnavailable: the C library cannot be built here.
        ConfigError: `exits` or `layers` are out of range.
    """

    why = "compiled for this CPU"

    def __init__(
        self,
        arch: Architecture | Weights,
        quantize: Quantize = "none",
        exits: Sequence[int] = (),
        layers: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._lib = library()
        self.weights = arch if isinstance(arch, Weights) else Weights(arch, quantize)
        shape = self.weights.shape
        self.layers = self.weights.depth if layers is None else layers
        if not 1 <= self.layers <= self.weights.depth:
            raise ConfigError(f"layers is 1 to {self.weights.depth}, the model's depth; got {layers}")
        super().__init__(
            vocabulary=shape.vocabulary,
            length=shape.length,
            device=torch.device("cpu"),
            exits=exits,
            depth=self.layers,
        )
        self.threads = threads
        self._order = sorted(set(exits))
        self._model, self._alive = self.weights.model(self.layers, self._order)
        self._scratch = self._lib.pf_scratch()
        weakref.finalize(self, self._lib.pf_scratch_free, self._scratch)
        self._tables: list[np.ndarray[Any, Any]] = []
        self._placed = 0
        self._reuse = Reuse()

    @property
    def weight_bytes(self) -> int:
        """How many bytes of weights one token reads."""
        return self.weights.bytes_of(self.layers)

    def _open(self) -> RowCache:
        shape = self.weights.shape
        kind = np.float32 if self.weights.cache_dtype == torch.float32 else np.uint16
        cache = RowCache(self.layers, shape.kv_heads, shape.head_dim, int(self._model.value_dim), kind)
        self._reuse.opened(cache)
        return cache

    def _crop(self, cache: RowCache, length: int) -> None:
        cache.crop(length)

    def _compact(self, cache: RowCache, length: int, path: Sequence[int]) -> None:
        cache.compact(length, path)

    def _copy(self, cache: RowCache) -> RowCache:
        made = cache.copy()
        self._reuse.opened(made)
        return made

    def _drop(self, cache: RowCache) -> None:
        self._reuse.closed(cache)

    def _run(
        self, caches: list[RowCache], tokens: list[list[int]], parents: list[list[int]] | None, last: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        for more in tokens:
            self._check_ids(more)
        if not last:
            return self._feed(caches, tokens, parents, last)
        # Prompts that begin as an earlier one of the call wait for it, so that they can copy.
        logits: list[Tensor] = [torch.empty(0)] * len(caches)
        early: list[Tensor] = [torch.empty(0)] * len(caches)
        waiting = list(range(len(caches)))
        while waiting:
            now = [i for n, i in enumerate(waiting) if not any(_alike(tokens[i], tokens[j]) for j in waiting[:n])]
            rest = [tokens[i][self._reuse.begin(caches[i], tokens[i]) :] for i in now]
            some, exits = self._feed([caches[i] for i in now], rest, None, last)
            for n, i in enumerate(now):
                logits[i] = some[n]
                early[i] = exits[n] if exits else early[i]
            waiting = [i for i in waiting if i not in now]
        return logits, early if self._order else []

    def _feed(
        self, caches: list[RowCache], tokens: list[list[int]], parents: list[list[int]] | None, last: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        wanted = [1 if last else len(more) for more in tokens]
        logits = torch.empty((sum(wanted), self.vocabulary), dtype=torch.float32)
        early = torch.empty((sum(wanted), len(self._order), self.vocabulary), dtype=torch.float32)
        done = 0
        for step in _steps(tokens, CHUNK if parents is None else None):
            rows = (_structs.Row * len(step))()
            alive: list[Any] = []
            count = 0  # of logits
            for out, (i, a, b) in zip(rows, step, strict=True):
                above = None if parents is None else parents[i]
                alive.append(self._fill(out, caches[i], tokens[i][a:b], above))
                out.first_logits = max(0, len(tokens[i]) - wanted[i] - a)
                count += max(0, b - a - out.first_logits)
            self._call(rows, logits[done:], early[done:])
            for i, a, b in step:
                caches[i].append(tokens[i][a:b], tree=parents is not None)
            done += count
        if not self._order:
            return list(logits.split(wanted)), []
        at = [self._order.index(layer) for layer in self.exits]
        return list(logits.split(wanted)), list(early[:, at].split(wanted))

    def _fill(self, out: _structs.Row, cache: RowCache, tokens: list[int], parents: list[int] | None) -> Any:
        """Describe a row's part in a step; return what must stay alive until it is over."""
        held = len(cache.ids)
        cache.reserve(held + len(tokens))
        ids = np.array(tokens, dtype=np.int32)
        places = np.arange(held, held + len(tokens), dtype=np.int32)
        mask = None
        if parents is not None:
            mask = ancestors(parents).astype(np.uint8)
            # A node's position is the number of tokens it sees before itself.
            places = (held + mask.sum(axis=1) - 1).astype(np.int32)
            out.mask = mask.ctypes.data
        self._place(int(places.max()) + 1)
        out.keys, out.values, out.capacity = cache.keys.ctypes.data, cache.values.ctypes.data, cache.capacity
        out.length, out.n = held, len(tokens)
        out.tokens, out.places = ids.ctypes.data, places.ctypes.data
        return ids, places, mask

    def _call(self, rows: Any, logits: Tensor, early: Tensor) -> None:
        threads = self.threads or torch.get_num_threads()
        failed = self._lib.pf_step(
            ctypes.byref(self._model), rows, len(rows), self._scratch, threads, logits.data_ptr(), early.data_ptr()
        )
        if failed:
            raise ModelError("out of memory in the native decoder: close rows, or feed fewer at a time")

    def _place(self, positions: int) -> None:
        """Have rotations for so many positions."""
        ropes = self.weights.shape.ropes
        if positions <= self._placed or not ropes:
            return
        self._placed = min(self.length, max(positions, 2 * self._placed, 512))
        self._tables = [rope_table(inverse, scale, self._placed) for inverse, scale in ropes]
        pointers = (ctypes.c_void_p * len(ropes))(*(table.ctypes.data for table in self._tables))
        self._pointers = pointers
        self._model.ropes = ctypes.cast(pointers, ctypes.POINTER(ctypes.c_void_p))

    def _check_ids(self, tokens: list[int]) -> None:
        if min(tokens) < 0 or max(tokens) >= self.weights.embedded:
            raise ModelError(
                f"token ids lie between 0 and {self.weights.embedded - 1}; got {min(tokens)} to {max(tokens)}"
            )


def _alike(a: list[int], b: list[int]) -> bool:
    """Whether two prompts share so much that it is worth waiting for one of them."""
    return common(a, b) >= max(WAIT, min(len(a), len(b)) // 4)


def _steps(tokens: list[list[int]], most: int | None) -> list[list[tuple[int, int, int]]]:
    """Cut rows' tokens into steps of at most `most` in all (None: one step): (row, from, to)."""
    if most is None:
        return [[(i, 0, len(more)) for i, more in enumerate(tokens)]]
    steps: list[list[tuple[int, int, int]]] = [[]]
    free = most
    for i, more in enumerate(tokens):
        a = 0
        while a < len(more):
            if not free:
                steps.append([])
                free = most
            b = min(len(more), a + free)
            steps[-1].append((i, a, b))
            free -= b - a
            a = b
    return steps
