"""How a GGUF file's names, shapes and settings become those of transformers, for the llama and qwen families."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

from pilotfish.errors import ModelError
from pilotfish.models._gguf_read import Gguf

__all__ = ["config_of", "generation_of", "hub_name", "turned"]

# ggml's name of the architecture -> (transformers' model_type, class). ggml calls mistral llama too: they are one.
_FAMILIES = {
    "llama": ("llama", "LlamaForCausalLM"),
    "mistral": ("mistral", "MistralForCausalLM"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
}
_WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# Control tokens that end a turn or a text, whatever the file says of its one end token.
_ENDS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|eom_id|>")


def hub_name(name: str, path: Path) -> str | None:
    """Return what transformers calls a tensor; None for what it computes itself.

    Raises:
        ModelError: the model has a part that this conversion does not know.
    """
    if name == "rope_freqs.weight":
        return None
    stem, _, suffix = name.rpartition(".")
    if stem in _WHOLE:
        return f"{_WHOLE[stem]}.{suffix}"
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)", stem)
    if match and match[2] in _LAYER:
        return f"model.layers.{match[1]}.{_LAYER[match[2]]}.{suffix}"
    raise ModelError(
        f"{path}: it has the tensor {name!r}, which this conversion does not know; use the hub's safetensors"
    )


def turned(name: str, weights: Any, config: dict[str, Any]) -> Any:
    """Undo ggml's reordering of llama's query and key rows, which pairs the rotary halves of a head row by row.

    Args:
        name: ggml's name of the tensor.
        weights: a tensor, (heads * head width, hidden) or (heads * head width,).
        config: what `config_of` returned.
    """
    part = re.search(r"\.attn_([qk])\.", name)
    if config["model_type"] not in ("llama", "mistral") or part is None:
        return weights
    heads = config["num_attention_heads" if part[1] == "q" else "num_key_value_heads"]
    return weights.reshape(heads, -1, 2, *weights.shape[1:]).transpose(1, 2).reshape(weights.shape).contiguous()


def config_of(gguf: Gguf, *, dtype: str) -> dict[str, Any]:
    """Return config.json for transformers.

    Raises:
        ModelError: a family, or a way of stretching positions, that this conversion does not know; a field is missing.
    """
    fields, path = gguf.fields, gguf.path
    architecture = str(fields.get("general.architecture"))
    if architecture not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise ModelError(
            f"{path}: a GGUF of the family {architecture!r} cannot be converted (only {known}); use safetensors"
        )

    def get(key: str, default: Any = None) -> Any:
        value = fields.get(f"{architecture}.{key}", default)
        if value is None:
            raise ModelError(f"{path}: the field {architecture}.{key} is missing; this GGUF file is not whole")
        return value

    if int(get("expert_count", 0)):
        raise ModelError(f"{path}: a mixture of experts cannot be converted; use safetensors")
    if int(fields.get("split.count", 1)) > 1:
        raise ModelError(
            f"{path}: one of {fields['split.count']} parts of a model; join them first (llama-gguf-split --merge)"
        )
    _check_whole(gguf, int(get("block_count")))
    heads, width = int(get("attention.head_count")), int(get("embedding_length"))
    model_type, kind = _FAMILIES[architecture]
    biased = architecture in ("llama", "mistral") and "blk.0.attn_q.bias" in gguf.tensors
    return {
        "architectures": [kind],
        "model_type": model_type,
        "vocab_size": gguf.tensors["token_embd.weight"].shape[0],
        "hidden_size": width,
        "intermediate_size": int(get("feed_forward_length")),
        "num_hidden_layers": int(get("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(get("attention.head_count_kv", heads)),
        "head_dim": int(get("attention.key_length", width // heads)),
        "hidden_act": "silu",
        "max_position_embeddings": int(get("context_length")),
        # The file holds it in 32 bits; 1e-5 should not become 9.999999747378752e-06.
        "rms_norm_eps": float(f"{get('attention.layer_norm_rms_epsilon'):.7g}"),
        "rope_theta": float(get("rope.freq_base", 10000.0)),
        **_stretched(gguf, architecture),
        **({"attention_bias": True} if biased else {}),
        **({"mlp_bias": True} if "blk.0.ffn_up.bias" in gguf.tensors else {}),
        "tie_word_embeddings": "output.weight" not in gguf.tensors,
        "bos_token_id": fields.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": fields.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": _pad(fields),
        "torch_dtype": dtype,
        # Without it transformers 5 suspects every large vocabulary of a fault that old Mistral files had, and warns.
        "transformers_version": "5.0.0",
    }


def _check_whole(gguf: Gguf, layers: int) -> None:
    optional = {"attn_q_norm", "attn_k_norm"}
    # One name at a time: a damaged count of layers may be in the billions.
    parts = (f"blk.{layer}.{part}" for layer in range(layers) for part in _LAYER if part not in optional)
    for name in itertools.chain(["token_embd", "output_norm"], parts):
        if f"{name}.weight" not in gguf.tensors:
            raise ModelError(f"{gguf.path}: it has no {name}.weight; this GGUF file is not a whole model of its family")


def _stretched(gguf: Gguf, architecture: str) -> dict[str, Any]:
    get = {key.removeprefix(f"{architecture}.rope.scaling."): value for key, value in gguf.fields.items()}
    kind = get.get("type", "none")
    if "rope_freqs.weight" in gguf.tensors:
        return {"rope_scaling": _llama3(gguf)}
    if kind == "none":
        return {}
    if kind == "linear":
        return {"rope_scaling": {"rope_type": "linear", "factor": float(get["factor"])}}
    if kind == "yarn":
        scaling = {"rope_type": "yarn", "factor": float(get["factor"])}
        return {"rope_scaling": {**scaling, "original_max_position_embeddings": int(get["original_context_length"])}}
    raise ModelError(f"{gguf.path}: positions stretched by {kind!r} cannot be converted; use safetensors")


def _llama3(gguf: Gguf) -> dict[str, Any]:
    """Llama 3.1 and later: the file holds a factor a frequency; transformers wants what they were computed from.

    All published ones share low 1, high 4 and 8,192 original positions; the largest factor is `factor` itself.
    """
    import numpy as np

    tensor = gguf.tensors["rope_freqs.weight"]
    if tensor.kind != 0:
        raise ModelError(f"{gguf.path}: rope_freqs.weight is not in 32-bit floats; use safetensors")
    stored = np.fromfile(gguf.path, np.float32, int(np.prod(tensor.shape)), offset=tensor.offset)
    theta = float(gguf.fields.get("llama.rope.freq_base", 10000.0))
    factor, low, high, original = float(stored.max()), 1.0, 4.0, 8192
    wavelength = 2 * np.pi * theta ** (np.arange(len(stored)) / len(stored))
    smooth = np.clip((original / wavelength - low) / (high - low), 0.0, 1.0)
    if not np.allclose(stored, 1 / ((1 - smooth) / factor + smooth), rtol=1e-3):
        raise ModelError(f"{gguf.path}: its rotary factors are not those of Llama 3; use safetensors")
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    }


def _pad(fields: dict[str, Any]) -> int | None:
    pad = fields.get("tokenizer.ggml.padding_token_id", fields.get("tokenizer.ggml.eos_token_id"))
    return None if pad is None else int(pad)


def generation_of(gguf: Gguf) -> dict[str, Any]:
    """Return generation_config.json: begin and pad token, and every token that ends a reply."""
    fields = gguf.fields
    kinds = fields.get("tokenizer.ggml.token_type", [])
    ends = [fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    controls = {
        token: i
        for i, (token, kind) in enumerate(zip(fields["tokenizer.ggml.tokens"], kinds, strict=False))
        if kind == 3
    }
    ends += [controls.get(token) for token in _ENDS]
    distinct = list(dict.fromkeys(int(end) for end in ends if end is not None))
    data = {"bos_token_id": fields.get("tokenizer.ggml.bos_token_id"), "pad_token_id": _pad(fields)}
    return {**{key: value for key, value in data.items() if value is not None}, "eos_token_id": distinct}
