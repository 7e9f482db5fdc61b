"""Tiny models with random weights, written as GGUF files by the `gguf` package, for comparison with the originals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish._extras import need

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CORPUS = [
    "the cat sat on the mat, it's 2024 and 2024 or 2024 12345!",
    "Où est l'été ? 日本語の文",
    "def f(x):\n    return x + 1\n\n",
] * 3


def byte_level_tokenizer() -> Any:
    """A byte-level BPE in SmolLM2's manner, trained on a few lines."""
    tokenizers = need("tokenizers", "local")
    pre_tokenizers = tokenizers.pre_tokenizers
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    # Trained without the split of digits, so that there are merges of digits, which only that split keeps apart.
    tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=352,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    return tokenizer


def tiny_model(family: str, vocabulary: int, **changes: Any) -> Any:
    """A transformers model of two layers with random weights; `family` is llama, qwen2 or qwen3."""
    import torch
    import transformers

    torch.manual_seed(5)
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 50_000.0,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    name = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}[family]
    heads = {"head_dim": 32} if family == "qwen3" else {}
    config = getattr(transformers, f"{name}Config")(**{**sizes, **heads, **changes})
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            # Norms and biases too: at their first values (1 and 0) a mixed-up one would go unnoticed.
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1.0 if parameter.ndim == 1 else 0.0))
    return model.eval()


_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def _ggml_name(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{_NAMES[part]}.{suffix}"
    return f"{_NAMES[stem]}.{suffix}"


def _paired(weights: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """ggml's order of llama's query and key rows: row i of a head's first half, then row i of its second, and so on."""
    out = weights.reshape(heads, 2, -1, *weights.shape[1:])
    return np.concatenate([out[:, :, i] for i in range(out.shape[2])], axis=1).reshape(weights.shape)


def write_gguf(
    path: Path,
    model: Any,
    tokenizer: Any,
    *,
    quantisation: str = "F32",
    pre: str = "smollm",
    architecture: str | None = None,
    factors: np.ndarray[Any, Any] | None = None,
    extra_tensor: str | None = None,
    **more: Any,
) -> Path:
    """Write a transformers model and its tokenizer as llama.cpp's converter would; `more`: further string fields."""
    import gguf

    config = model.config
    family = architecture or config.model_type
    writer = gguf.GGUFWriter(str(path), family)
    writer.add_license("apache-2.0")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(50_000.0)
    if config.model_type == "qwen3":
        writer.add_key_length(config.head_dim)
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    for key, value in more.items():
        writer.add_string(key.replace("__", "."), value)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        data = tensor.float().numpy()
        if config.model_type == "llama" and ".self_attn.q_proj" in name:
            data = _paired(data, config.num_attention_heads)
        if config.model_type == "llama" and ".self_attn.k_proj" in name:
            data = _paired(data, config.num_key_value_heads)
        kind = gguf.GGMLQuantizationType[quantisation if data.ndim == 2 else "F32"]
        writer.add_tensor(_ggml_name(name), gguf.quants.quantize(np.ascontiguousarray(data), kind), raw_dtype=kind)
    if factors is not None:
        writer.add_tensor("rope_freqs.weight", factors.astype(np.float32))
    if extra_tensor:
        writer.add_tensor(extra_tensor, np.zeros(4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
