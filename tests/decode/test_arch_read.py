"""Reading transformers modules: known ones wholly, anything else not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from pilotfish.decode._arch_read import read

if TYPE_CHECKING:
    from tests.conftest import TinyFolder
    from tests.tiny import Family

SIZES = {
    "vocab_size": 200,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}


def llama(**more: Any) -> Any:
    torch.manual_seed(1)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**SIZES, **more})).eval()


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral", "gemma3"])
def test_a_family_is_read_and_shares_the_weights(family: Family, tiny_folder: TinyFolder) -> None:
    module = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder(family)).eval()
    arch = read(module)
    assert arch is not None
    assert (arch.width, arch.heads, arch.kv_heads, len(arch.layers), arch.length) == (32, 4, 2, 2, 512)
    block = module.base_model.layers[1]
    assert arch.layers[1].down.weight.data_ptr() == block.mlp.down_proj.weight.data_ptr()
    assert arch.embedding.data_ptr() == module.get_input_embeddings().weight.data_ptr()
    assert arch.head.weight.data_ptr() == module.get_output_embeddings().weight.data_ptr()
    assert [layer.window for layer in arch.layers] == {"mistral": [12, 12], "gemma3": [12, 0]}.get(family, [0, 0])
    assert (arch.layers[0].q_norm is not None) == (family in ("qwen3", "gemma3"))
    assert (arch.layers[0].q.bias is not None) == (family == "qwen2")


def test_gemma_has_two_ropes_and_norms_around_both(tiny_folder: TinyFolder) -> None:
    module = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder("gemma3")).eval()
    arch = read(module)
    assert arch is not None
    local, full = (arch.ropes[layer.rope][0] for layer in arch.layers)
    assert torch.equal(local, module.model.rotary_emb.sliding_attention_inv_freq)
    assert torch.equal(full, module.model.rotary_emb.full_attention_inv_freq)
    assert not torch.equal(local, full)
    assert arch.attention_scale == pytest.approx(24**-0.5)
    assert arch.embedding_scale == pytest.approx(32**0.5)
    assert arch.activation == "gelu_tanh"
    norm = arch.layers[0].post_mlp_norm
    assert norm is not None
    assert torch.equal(norm.weight, 1 + module.model.layers[0].post_feedforward_layernorm.weight)


def test_gpt2_is_turned_the_right_way(tiny_folder: TinyFolder) -> None:
    module = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder("gpt2")).eval()
    arch = read(module)
    assert arch is not None
    assert arch.positions is not None
    assert arch.ropes == ()
    assert arch.layers[0].gate is None
    assert arch.layers[0].attention_norm.centred
    block, x = module.transformer.h[0], torch.randn(5, 32)
    q, k, v = block.attn.c_attn(x).split(32, dim=-1)
    for mine, theirs in ((arch.layers[0].q, q), (arch.layers[0].k, k), (arch.layers[0].v, v)):
        assert torch.allclose(torch.nn.functional.linear(x, mine.weight, mine.bias), theirs, atol=1e-6)
    assert arch.layers[0].up.weight.shape == (128, 32)
    assert arch.layers[0].up.weight.is_contiguous()


SCALINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "linear": {"factor": 4.0},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 32},
}


@pytest.mark.parametrize("kind", SCALINGS)
def test_fixed_ropes_are_taken_as_transformers_computes_them(kind: str) -> None:
    module = llama(rope_parameters={"rope_type": kind, "rope_theta": 10000.0, **SCALINGS[kind]})
    arch = read(module)
    assert arch is not None
    assert torch.equal(arch.ropes[0][0], module.model.rotary_emb.inv_freq)
    assert arch.ropes[0][1] == module.model.rotary_emb.attention_scaling
    assert (arch.ropes[0][1] != 1.0) == (kind == "yarn")


def test_a_gemma_with_a_vision_tower_is_read_for_its_text() -> None:
    text = {**SIZES, "head_dim": 8, "sliding_window": 4}
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    arch = read(transformers.Gemma3ForConditionalGeneration(config).eval())
    assert arch is not None
    assert len(arch.layers) == 3


def test_a_module_that_was_asked_for_hidden_states_is_still_known() -> None:
    module = llama()
    module(torch.tensor([[1, 2]]), output_hidden_states=True)
    assert read(module) is not None


def _hooked() -> Any:
    module = llama()
    module.model.layers[1].register_forward_hook(lambda *_: None)
    return module


def _adapted() -> Any:
    class Lora(torch.nn.Linear):  # type: ignore[misc]
        pass

    module = llama()
    module.model.layers[0].self_attn.q_proj = Lora(32, 32, bias=False)
    return module


def _extended() -> Any:
    module = llama()
    module.model.layers[0].self_attn.register_parameter("sinks", torch.nn.Parameter(torch.zeros(4)))
    return module


def _mixed() -> Any:
    module = llama()
    module.model.layers[0].mlp.half()
    return module


def _subclass() -> Any:
    class Mine(transformers.LlamaForCausalLM):  # type: ignore[misc]
        pass

    return Mine(transformers.LlamaConfig(**SIZES)).eval()


def _gemma(**more: Any) -> Any:
    return transformers.Gemma3ForCausalLM(transformers.Gemma3TextConfig(**SIZES, head_dim=8, **more)).eval()


UNKNOWN: dict[str, Callable[[], Any]] = {
    "a hook": _hooked,
    "a layer of another kind": _adapted,
    "one more parameter": _extended,
    "two dtypes": _mixed,
    "a subclass": _subclass,
    "a rope that changes": lambda: llama(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
    "another activation": lambda: llama(hidden_act="relu"),
    "capped logits": lambda: _gemma(final_logit_softcapping=30.0),
    "capped attention": lambda: _gemma(attn_logit_softcapping=50.0),
    "both directions": lambda: _gemma(use_bidirectional_attention=True),
    "inverse layer index": lambda: transformers.AutoModelForCausalLM.from_config(
        transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=99, scale_attn_by_inverse_layer_idx=True)
    ),
    "another family": lambda: transformers.PhiForCausalLM(transformers.PhiConfig(**SIZES)),
    "no language model": lambda: llama().model,
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_known_exactly_is_not_read(what: str) -> None:
    assert read(UNKNOWN[what]()) is None
