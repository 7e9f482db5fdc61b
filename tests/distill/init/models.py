"""Tiny models of several layers, and how their logits are read."""

from __future__ import annotations

from typing import Any

import torch
import transformers

IDS = torch.tensor([[5, 17, 300, 42, 8, 99, 120, 7, 61, 33]])


def tiny(family: str = "llama", layers: int = 6, *, dtype: Any = torch.float32, **more: Any) -> Any:
    """A random model of 32 channels, 4 heads in 2 groups, 64 neurons (GPT-2: 4 groups, 128 neurons)."""
    torch.manual_seed(3)
    ends = {"bos_token_id": 0, "eos_token_id": 2}
    if family == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=400, n_positions=128, n_embd=32, n_layer=layers, n_head=4, **ends, **more
        )
    else:
        kinds = {
            "llama": transformers.LlamaConfig,
            "qwen2": transformers.Qwen2Config,
            "qwen3": transformers.Qwen3Config,
        }
        if family == "qwen3":
            more = {"head_dim": 16, **more}
        config = kinds[family](
            vocab_size=400,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            **ends,
            **more,
        )
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1.0 if parameter.ndim == 1 else 0.0))
    return model.to(dtype).eval()


def logits(model: Any) -> Any:
    """The logits of a few fixed tokens."""
    with torch.inference_mode():
        return model(input_ids=IDS, use_cache=False).logits


def generated(model: Any, *, cache: bool) -> list[int]:
    """Twelve greedy tokens."""
    out = model.generate(IDS, max_new_tokens=12, do_sample=False, use_cache=cache, eos_token_id=None, pad_token_id=0)
    return [int(token) for token in out[0]]
