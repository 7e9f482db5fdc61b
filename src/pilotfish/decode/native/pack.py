"""Packed copies of linears' weights, in 12 (lossless), 8 or 4 bits, in large pages where the system has them."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pilotfish.decode.native._structs import KINDS, kind_of
from pilotfish.decode.native.build import library
from pilotfish.errors import ModelError

__all__ = ["Packed", "Store", "pack", "shorten"]

# Twelve bits with their misses and padding must stay below this share of the sixteen, or they are not worth their room.
_WORTH = 0.9
_MISS = np.dtype([("row", np.int32), ("column", np.int32), ("weight", np.float32)])


@dataclass(frozen=True)
class Packed:
    """A packed weight: addresses for the C library, `bytes` it takes, and the memory itself.

    `error` is what int4 lost: the root of the squared errors' share of the weights' squares. `misses`: see `shorten`.
    """

    weight: int
    scale: int
    kind: int
    bytes: int
    error: float
    memory: Any
    misses: int = 0
    miss_count: int = 0


class Store:
    """Memory for many packed weights, one after another; never given back in part."""

    _CHUNK = 64 << 20

    def __init__(self) -> None:
        self._chunk: np.ndarray[Any, Any] = np.empty(0, np.uint8)
        self._used = 0

    def give_back(self, piece: np.ndarray[Any, Any]) -> None:
        """Take back the piece that was taken last."""
        self._used -= -(-len(piece) // 64) * 64
        piece[:] = 0

    def take(self, size: int) -> np.ndarray[Any, Any]:
        """Return `size` zero bytes that begin at a cache line."""
        if self._used + size > len(self._chunk):
            self._chunk, self._used = _large_pages(max(size, self._CHUNK)), 0
        piece = self._chunk[self._used : self._used + size]
        self._used += -(-size // 64) * 64
        return piece


def pack(weight: Tensor, kind: Literal["int8", "int4"], store: Store, threads: int | None = None) -> Packed:
    """Pack a weight (out, in): int8 with a scale a row, int4 with a scale and a minimum for every 32 (least squares).

    Raises:
        ModelError: no memory.
    """
    weight = weight.detach()
    if weight.dtype not in (torch.float32, torch.bfloat16):
        weight = weight.float()
    weight = weight.contiguous()
    lib = library()
    rows, columns = weight.shape
    number = KINDS[kind]
    size = lib.pf_packed_bytes(rows, columns, number)
    memory = store.take(size)
    scale = np.zeros(-(-rows // 16) * 16 if kind == "int8" else 0, np.float32)
    error = lib.pf_pack(
        ctypes.c_void_p(weight.data_ptr()),
        kind_of(weight.dtype),
        rows,
        columns,
        number,
        ctypes.c_void_p(memory.ctypes.data),
        ctypes.c_void_p(scale.ctypes.data),
        threads or torch.get_num_threads(),
    )
    if error < 0:
        raise ModelError(f"no memory to pack a weight of {rows} by {columns} as {kind}")
    return Packed(memory.ctypes.data, scale.ctypes.data, number, size + scale.nbytes, error**0.5, (memory, scale))


def shorten(weight: Tensor, store: Store, threads: int | None = None) -> Packed | None:
    """Hold a bfloat16 weight (out, in) in 12 bits without loss; None where that saves too little.

    The few weights whose exponents have no code (`csrc/short.h`) stand in a list beside, which `misses` points at.
    """
    weight = weight.detach().contiguous()
    lib = library()
    rows, columns = weight.shape
    size = lib.pf_packed_bytes(rows, columns, KINDS["short"])
    room = min(int((_WORTH * weight.nbytes - size) // _MISS.itemsize), weight.numel())
    if room < 0:
        return None
    memory, listed = store.take(size), np.zeros(room, _MISS)
    count = lib.pf_shorten(
        ctypes.c_void_p(weight.data_ptr()),
        rows,
        columns,
        ctypes.c_void_p(memory.ctypes.data),
        ctypes.c_void_p(listed.ctypes.data),
        room,
        threads or torch.get_num_threads(),
    )
    if count > room:
        store.give_back(memory)
        return None
    listed = listed[:count].copy()
    held = size + listed.nbytes
    return Packed(memory.ctypes.data, 0, KINDS["short"], held, 0.0, (memory, listed), listed.ctypes.data, len(listed))


def _large_pages(size: int) -> np.ndarray[Any, Any]:
    memory = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)
