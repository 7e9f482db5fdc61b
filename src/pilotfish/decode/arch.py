"""What a decoder-only transformer is made of: its weights and the few choices that tell the families apart.

`read` fills this in from a transformers module; the native and the torch decoder compute from it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Architecture", "Layer", "Linear", "Norm"]


@dataclass(frozen=True)
class Linear:
    """y = x Wᵀ + b: weight (out, in), contiguous; bias (out,) or None."""

    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True)
class Norm:
    """RMSNorm, or LayerNorm where `centred`; weight and bias are float32 (Gemma's 1 + w is folded in)."""

    weight: Tensor
    bias: Tensor | None = None
    epsilon: float = 1e-6
    centred: bool = False


@dataclass(frozen=True)
class Layer:
    """One block: x += post_attention(o(attention(norm(x)))); x += post_mlp(down(act(gate) * up)) of norm(x).

    `gate` is None where the MLP is not gated (GPT-2). `q_norm`, `k_norm` act on each head (Qwen3, Gemma 3). `window`
    is how many last tokens a token sees, itself included (0: all). `rope` indexes the architecture's `ropes` (-1: no
    rotation).
    """

    attention_norm: Norm
    q: Linear
    k: Linear
    v: Linear
    o: Linear
    mlp_norm: Norm
    up: Linear
    down: Linear
    gate: Linear | None = None
    q_norm: Norm | None = None
    k_norm: Norm | None = None
    post_attention_norm: Norm | None = None
    post_mlp_norm: Norm | None = None
    window: int = 0
    rope: int = 0


@dataclass(frozen=True)
class Architecture:
    """A whole model. `ropes` are (inverse frequencies (head_dim / 2,), scale of cos and sin), rotate-half convention.

    `positions` (length, width) are learned position embeddings (GPT-2). `embedding_scale` multiplies embeddings
    (Gemma). Weights are the module's own memory where their layout allows, so they are not held twice.
    """

    family: str
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    length: int
    embedding: Tensor
    layers: tuple[Layer, ...]
    final_norm: Norm
    head: Linear
    ropes: tuple[tuple[Tensor, float], ...]
    attention_scale: float
    activation: Literal["silu", "gelu_tanh"] = "silu"
    embedding_scale: float = 1.0
    positions: Tensor | None = None
