"""Which dimension of each weight is which: what must be cut together when a transformer is made narrower.

Llama's names (Mistral, Qwen2 and Qwen3 use them too), and GPT-2's, whose linear layers are stored (in, out) and whose
queries, keys and values are one matrix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pilotfish._extras import need
from pilotfish.distill.init._build import decoder_layers
from pilotfish.errors import ModelError

__all__ = ["Anatomy", "Kept"]

Axis = Literal["hidden", "neurons", "q", "kv", "qkv"]

_LLAMA: dict[str, tuple[Axis | None, ...]] = {
    r"(embed_tokens|lm_head)\.weight": (None, "hidden"),
    r"(input_layernorm|post_attention_layernorm|norm)\.weight": ("hidden",),
    r"self_attn\.q_proj\.(weight|bias)": ("q", "hidden"),
    r"self_attn\.[kv]_proj\.(weight|bias)": ("kv", "hidden"),
    r"self_attn\.o_proj\.(weight|bias)": ("hidden", "q"),
    r"self_attn\.[qk]_norm\.weight": (None,),
    r"mlp\.(gate|up)_proj\.(weight|bias)": ("neurons", "hidden"),
    r"mlp\.down_proj\.(weight|bias)": ("hidden", "neurons"),
}
_GPT2: dict[str, tuple[Axis | None, ...]] = {
    r"(wte|wpe|lm_head)\.weight": (None, "hidden"),
    r"ln_[12f]\.(weight|bias)": ("hidden",),
    r"attn\.c_attn\.weight": ("hidden", "qkv"),
    r"attn\.c_attn\.bias": ("qkv",),
    r"attn\.c_proj\.weight": ("q", "hidden"),
    r"mlp\.c_fc\.weight": ("hidden", "neurons"),
    r"mlp\.c_fc\.bias": ("neurons",),
    r"mlp\.c_proj\.weight": ("neurons", "hidden"),
    r"(attn|mlp)\.c_proj\.bias": ("hidden",),
}
_FAMILIES = {"llama": _LLAMA, "mistral": _LLAMA, "qwen2": _LLAMA, "qwen3": _LLAMA, "gpt2": _GPT2}


@dataclass(frozen=True)
class Kept:
    """What a narrower model keeps, as ascending indices (long tensors).

    Attributes:
        hidden: channels of the residual stream, the same in all layers.
        neurons: of the feed-forward network, a tensor a layer.
        groups: key-value heads with the query heads that read them, a tensor a layer.
    """

    hidden: Any
    neurons: Sequence[Any]
    groups: Sequence[Any]


class Anatomy:
    """The dimensions of a causal LM, and what each axis of its weights stands for.

    Raises:
        ModelError: a family whose weights are not known here.
    """

    def __init__(self, model: Any) -> None:
        config = model.config
        if config.model_type not in _FAMILIES:
            known = ", ".join(sorted(_FAMILIES))
            raise ModelError(f"the width of {config.model_type} models cannot be pruned, only that of {known}")
        self.gpt2 = config.model_type == "gpt2"
        self.name = type(model).__name__
        self.table = _FAMILIES[config.model_type]
        self.prefix = decoder_layers(model)
        self.layers: int = config.num_hidden_layers
        self.hidden: int = config.hidden_size
        self.heads: int = config.num_attention_heads
        self.groups: int = self.heads if self.gpt2 else config.num_key_value_heads
        blocks = model.get_submodule(self.prefix)
        self.head_dim: int = (blocks[0].attn if self.gpt2 else blocks[0].self_attn).head_dim
        self.neurons: int = self.down(blocks[0]).weight.shape[0 if self.gpt2 else 1]

    def down(self, block: Any) -> Any:
        """Return the linear layer of a block whose input are the feed-forward neurons."""
        return block.mlp.c_proj if self.gpt2 else block.mlp.down_proj

    def out(self, block: Any) -> Any:
        """Return the linear layer of a block whose input are the heads' results, (…, heads x head_dim)."""
        return block.attn.c_proj if self.gpt2 else block.self_attn.o_proj

    def norms(self, model: Any) -> dict[str, Any]:
        """Return the modules that normalise the residual stream, by name."""
        wanted = r"(.*\.)?(ln_[12f])" if self.gpt2 else r"(.*\.)?(input_layernorm|post_attention_layernorm|norm)"
        return {name: module for name, module in model.named_modules() if re.fullmatch(wanted, name)}

    def gain(self, layer: int, *, neurons: bool) -> str:
        """Return the name of the gain through which a layer's feed-forward network (or its attention) reads."""
        names = ("ln_1", "ln_2") if self.gpt2 else ("input_layernorm", "post_attention_layernorm")
        return f"{self.prefix}.{layer}.{names[neurons]}.weight"

    def axes(self, name: str, dims: int) -> tuple[int | None, tuple[Axis | None, ...]]:
        """Return the layer of a weight (None: of no layer) and what each of its dimensions stands for.

        Raises:
            ModelError: a weight of a name that is not known here.
        """
        inside = re.fullmatch(rf"{re.escape(self.prefix)}\.(\d+)\.(.*)", name)
        layer, short = (int(inside[1]), inside[2]) if inside else (None, name.rpartition(".")[0].rpartition(".")[2])
        if not inside:
            short = f"{short}.{name.rpartition('.')[2]}"
        for pattern, axes in self.table.items():
            if re.fullmatch(pattern, short):
                return layer, axes[:dims]  # a bias has the first axis of its matrix
        raise ModelError(f"{self.name}: what {name} holds is not known, so the width cannot be pruned")

    def cut(self, name: str, weight: Any, kept: Kept) -> Any:
        """Return a weight with only what is kept."""
        layer, axes = self.axes(name, weight.ndim)
        for dim, axis in enumerate(axes):
            if axis is not None:
                weight = weight.index_select(dim, self._index(axis, layer, kept).to(weight.device))
        return weight

    def _index(self, axis: Axis, layer: int | None, kept: Kept) -> Any:
        if axis == "hidden":
            return kept.hidden
        assert layer is not None
        if axis == "neurons":
            return kept.neurons[layer]
        torch = need("torch", "train")
        groups = kept.groups[layer]
        if axis == "kv":
            return _spread(groups, self.head_dim)
        rows = _spread(groups, self.heads // self.groups * self.head_dim)
        return rows if axis == "q" else torch.cat([rows + part * self.hidden for part in range(3)])


def _spread(blocks: Any, size: int) -> Any:
    """Return the indices of all elements of blocks of `size`: [1, 3] of 2 -> [2, 3, 6, 7]."""
    torch = need("torch", "train")
    return (blocks[:, None] * size + torch.arange(size)).reshape(-1)
