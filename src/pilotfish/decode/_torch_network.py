"""The pass of the torch decoder: an `Architecture`'s layers over packed tokens.

The residual stream, norms and logits are float32 whatever the weights are; the linear layers' inputs are in the
weights' dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, rms_norm, silu

from pilotfish.decode._torch_linear import Matrix, matrix
from pilotfish.decode._torch_plan import Plan
from pilotfish.decode.arch import Architecture, Layer, Norm

__all__ = ["Network"]


@dataclass
class _Block:
    """A layer with the matrices that share an input made one."""

    layer: Layer
    qkv: Matrix
    o: Matrix
    up: Matrix
    down: Matrix


class Network:
    """The first `layers` layers of an architecture, the final norm and the head.

    `fused` copies query, key and value weights into one matrix, and gate and up into another: faster where a call
    costs more than its work, for more memory. Quantised matrices are always fused.
    """

    def __init__(self, arch: Architecture, layers: int, quantize: str, fused: bool) -> None:
        self.arch = arch
        self.blocks = [
            _Block(
                layer,
                matrix([layer.q, layer.k, layer.v], quantize, fused=fused),
                matrix([layer.o], quantize),
                matrix([layer.gate, layer.up] if layer.gate else [layer.up], quantize, fused=fused),
                matrix([layer.down], quantize),
            )
            for layer in arch.layers[:layers]
        ]
        # The head decides between near tokens: four bits are too few for it.
        self.head = matrix([arch.head], "int8" if quantize == "int4" else quantize)
        self.dtype = arch.embedding.dtype
        self.windows = sorted({block.layer.window for block in self.blocks})
        self._tables: list[tuple[Tensor, Tensor]] = []
        self.bytes = self.head.bytes + sum(
            part.bytes for block in self.blocks for part in (block.qkv, block.o, block.up, block.down)
        )

    def reserve(self, length: int) -> None:
        """Make the tables of cosines and sines long enough for positions below `length`."""
        if self._tables and len(self._tables[0][0]) >= length:
            return
        held = 1 << max(8, (length - 1).bit_length())
        self._tables = []
        for frequencies, scale in self.arch.ropes:
            angles = torch.arange(held, device=frequencies.device).float()[:, None] * frequencies[None]
            cos, sin = angles.cos() * scale, angles.sin() * scale
            # The second half of a head is rotated against the first: [-sin, sin] goes with the halves swapped.
            self._tables.append((torch.cat([cos, cos], dim=1), torch.cat([-sin, sin], dim=1)))

    def __call__(
        self, ids: Tensor, plan: Plan, buffers: Sequence[Tensor], exits: Sequence[int], only: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Run one pass; the tokens' keys and values go into `buffers`.

        Args:
            ids: (tokens,) packed as the plan says.
            plan: where they stand and what they see.
            buffers: a layer's cache each (`Slots.buffers`).
            exits: layers whose early-exit logits are wanted.
            only: (n,) the tokens whose logits are wanted; None: all.

        Returns:
            float32 logits (n, vocabulary), and (n, exits, vocabulary) where there are exits.
        """
        arch = self.arch
        x = arch.embedding[ids].float() * arch.embedding_scale
        if arch.positions is not None:
            x = x + arch.positions[plan.positions].float()
        turns = [(cos[plan.positions][:, None], sin[plan.positions][:, None]) for cos, sin in self._tables]
        early = {0: x} if 0 in exits else {}
        for i, (block, buffer) in enumerate(zip(self.blocks, buffers, strict=True)):
            layer = block.layer
            x = x + _after(layer.post_attention_norm, self._attention(block, x, plan, buffer, turns))
            x = x + _after(layer.post_mlp_norm, self._mlp(block, x))
            if i + 1 in exits:
                early[i + 1] = x
        if only is not None:
            x = x[only]
        if not exits:
            return self._logits(x), None
        hidden = [early[layer] if only is None else early[layer][only] for layer in exits]
        return self._logits(x), torch.stack([self._logits(states) for states in hidden], dim=1)

    def _attention(
        self, block: _Block, x: Tensor, plan: Plan, buffer: Tensor, turns: Sequence[tuple[Tensor, Tensor]]
    ) -> Tensor:
        arch, layer = self.arch, block.layer
        heads = arch.heads + 2 * arch.kv_heads
        qkv = block.qkv(_norm(layer.attention_norm, x).to(self.dtype)).view(len(x), heads, arch.head_dim)
        rotated, v = qkv[:, : arch.heads + arch.kv_heads], qkv[:, arch.heads + arch.kv_heads :]
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = rotated[:, : arch.heads].float(), rotated[:, arch.heads :].float()
            rotated = torch.cat([_norm(layer.q_norm, q), _norm(layer.k_norm, k)], dim=1)
        if layer.rope >= 0:
            cos, sin = turns[layer.rope]
            rotated = rotated.float()
            rotated = torch.addcmul(rotated * cos, rotated.roll(arch.head_dim // 2, -1), sin)
        rotated = rotated.to(self.dtype)
        q, k = rotated[:, : arch.heads], rotated[:, arch.heads :]
        return block.o(plan.attend(buffer, q, k, v, layer.window, arch.attention_scale))

    def _mlp(self, block: _Block, x: Tensor) -> Tensor:
        wide = block.up(_norm(block.layer.mlp_norm, x).to(self.dtype))
        if block.layer.gate is None:
            return block.down(self._activation(wide))
        gate, up = wide.chunk(2, dim=-1)
        return block.down(self._activation(gate) * up)

    def _activation(self, x: Tensor) -> Tensor:
        return silu(x) if self.arch.activation == "silu" else gelu(x, approximate="tanh")

    def _logits(self, x: Tensor) -> Tensor:
        return self.head(_norm(self.arch.final_norm, x).to(self.dtype)).float()


def _norm(norm: Norm, x: Tensor) -> Tensor:
    """RMSNorm or LayerNorm of float32 x."""
    if norm.centred:
        return layer_norm(x, (x.shape[-1],), norm.weight, norm.bias, norm.epsilon)
    return rms_norm(x, (x.shape[-1],), norm.weight, norm.epsilon)


def _after(norm: Norm | None, x: Tensor) -> Tensor:
    return x.float() if norm is None else _norm(norm, x.float())
