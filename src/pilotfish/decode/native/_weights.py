"""An `Architecture` as the C library reads it: structures pointing at the tensors' own memory, or at packed copies."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pilotfish.decode import arch as words
from pilotfish.decode.native import _structs
from pilotfish.decode.native.pack import Packed, Store, pack, shorten
from pilotfish.decode.quantize import Quantize

__all__ = ["Weights"]

_BLOCK_NORMS = {
    "attention": "attention_norm",
    "q_norm": "q_norm",
    "k_norm": "k_norm",
    "post_attention": "post_attention_norm",
    "mlp": "mlp_norm",
    "post_mlp": "post_mlp_norm",
}

# int4 keeps the values and the MLP's second matrix in 8 bits, the ones that suffer most (llama.cpp's K_M mixes spend
# their bits there too), unless 4 bits hold them: weights that come from a 4-bit file lie on such a grid already.
TOLERATED = 0.02
EIGHT = ("v", "down")


@dataclass(frozen=True)
class Shape:
    """The numbers of an architecture, without its weights."""

    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    length: int
    ropes: tuple[tuple[Tensor, float], ...]


class Weights:
    """All weights of a model, shared by every decoder that computes with them.

    Attributes:
        layers: the blocks as a C array.
        bytes_in: for each block, and last for the head, how many bytes of weights one token reads.
    """

    def __init__(self, arch: words.Architecture, quantize: Quantize = "none") -> None:
        self.quantize = quantize
        self._store = Store()
        self._kept: list[Any] = []
        self.cache_dtype = torch.bfloat16 if arch.embedding.dtype == torch.bfloat16 else torch.float32
        self.depth = len(arch.layers)
        self.layers = (_structs.Layer * self.depth)()
        self.bytes_in = [0] * (self.depth + 1)
        for at, layer in enumerate(arch.layers):
            self._layer(self.layers[at], layer, at)
        self.head = _structs.Linear()
        self._linear(self.head, arch.head, self.depth, "head")
        self.final = _structs.Norm()
        self._norm(self.final, arch.final_norm, self.depth)
        self.shape = Shape(arch.heads, arch.kv_heads, arch.head_dim, arch.vocabulary, arch.length, arch.ropes)
        self._base = _structs.Model(
            width=arch.width,
            heads=arch.heads,
            kv_heads=arch.kv_heads,
            head_dim=arch.head_dim,
            value_dim=-(-arch.head_dim // 32) * 32,
            inner=max(layer.up.weight.shape[0] for layer in arch.layers),
            vocabulary=arch.vocabulary,
            gelu=arch.activation == "gelu_tanh",
            cache=_structs.KINDS["float32" if self.cache_dtype == torch.float32 else "bfloat16"],
            attention_scale=arch.attention_scale,
            embedding_scale=arch.embedding_scale,
        )
        self.embedded = int(arch.embedding.shape[0])
        self._base.embedding, self._base.embedding_kind = self._plain(arch.embedding)
        if arch.positions is not None:
            self._base.positions, self._base.positions_kind = self._plain(arch.positions)

    def model(self, layers: int, exits: Sequence[int]) -> tuple[_structs.Model, Any]:
        """Return the C model of the first `layers` blocks, its rope tables still to be set, and what to keep alive."""
        model = _structs.Model.from_buffer_copy(self._base)
        numbers = (ctypes.c_int64 * max(1, len(exits)))(*exits)
        model.layers, model.layer = layers, ctypes.cast(self.layers, ctypes.POINTER(_structs.Layer))
        model.final, model.head = self.final, self.head
        model.exits, model.exit_count = ctypes.cast(numbers, ctypes.POINTER(ctypes.c_int64)), len(exits)
        return model, (self, numbers)

    def bytes_of(self, layers: int) -> int:
        """How many bytes of weights one token reads with the first `layers` blocks and the head."""
        return sum(self.bytes_in[:layers]) + self.bytes_in[-1]

    def _layer(self, out: _structs.Layer, layer: words.Layer, at: int) -> None:
        for name, attribute in _BLOCK_NORMS.items():
            self._norm(getattr(out, name), getattr(layer, attribute), at)
        for name in ("q", "k", "v", "o", "gate", "up", "down"):
            self._linear(getattr(out, name), getattr(layer, name), at, name)
        out.window, out.rope = layer.window, layer.rope

    def _norm(self, out: _structs.Norm, norm: words.Norm | None, at: int) -> None:
        if norm is None:
            return
        out.w = self._floats(norm.weight, at)
        out.b = None if norm.bias is None else self._floats(norm.bias, at)
        out.eps, out.centred = norm.epsilon, norm.centred

    def _linear(self, out: _structs.Linear, linear: words.Linear | None, at: int, name: str) -> None:
        if linear is None:
            return
        out.n, out.k = linear.weight.shape
        out.bias = None if linear.bias is None else self._floats(linear.bias, at)
        packed = self._packed(linear.weight, name)
        if packed is None:
            out.w, out.kind = self._plain(linear.weight)
            self.bytes_in[at] += linear.weight.numel() * linear.weight.element_size()
            return
        self._kept.append(packed)
        out.w, out.scale, out.kind = packed.weight, packed.scale, packed.kind
        out.misses, out.miss_count = packed.misses, packed.miss_count
        self.bytes_in[at] += packed.bytes

    def _packed(self, weight: Tensor, name: str) -> Packed | None:
        if self.quantize == "none" or (self.quantize == "lossless" and weight.dtype != torch.bfloat16):
            return None
        if self.quantize == "lossless":
            return shorten(weight, self._store)
        packed = pack(weight, "int8" if name == "head" or self.quantize == "int8" else "int4", self._store)
        if packed.error > TOLERATED and name in EIGHT:
            self._store.give_back(packed.memory[0])
            packed = pack(weight, "int8", self._store)
        return packed

    def _plain(self, tensor: Tensor) -> tuple[int, int]:
        """A tensor's own memory in float32 or bfloat16; other types become float32."""
        if tensor.dtype not in (torch.float32, torch.bfloat16):
            tensor = tensor.float()
        tensor = tensor.detach().contiguous()
        self._kept.append(tensor)
        return tensor.data_ptr(), _structs.kind_of(tensor.dtype)

    def _floats(self, tensor: Tensor, at: int) -> int:
        tensor = tensor.detach().float().contiguous()
        self._kept.append(tensor)
        self.bytes_in[at] += tensor.numel() * 4
        return int(tensor.data_ptr())


def rope_table(inverse: Tensor, scale: float, positions: int) -> np.ndarray[Any, Any]:
    """Cosines and sines (positions, head_dim): a half of each, times `scale`, float32."""
    angles = torch.arange(positions, dtype=torch.float32)[:, None] * inverse.float()[None, :]
    table: np.ndarray[Any, Any] = (torch.cat([angles.cos(), angles.sin()], dim=1) * scale).contiguous().numpy()
    return table
