"""Pruning the width: what was of no use leaves nothing behind, and the cut weights belong together."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.distill.init import Importance, by_activations, by_weights, prune_width
from pilotfish.errors import ConfigError, DataError, ModelError
from tests.distill.init.models import generated, logits, tiny
from tests.tiny import TEXTS, tokenizer, write_lm

FAMILIES = ["llama", "qwen2", "qwen3", "gpt2"]


@pytest.fixture(scope="module")
def cutter() -> Any:
    return tokenizer()


def _block(model: Any, i: int) -> Any:
    return model.base_model.h[i] if model.config.model_type == "gpt2" else model.base_model.layers[i]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("measured", [True, False])
def test_the_full_size_gives_the_same_logits(family: str, measured: bool, cutter: Any) -> None:
    model = tiny(family)
    ranked = by_activations(model, cutter, TEXTS) if measured else None
    same = prune_width(model, importance=ranked)
    assert torch.allclose(logits(same), logits(model), atol=1e-5)
    full = prune_width(model, hidden=32, intermediate=128 if family == "gpt2" else 64, heads=4, importance=ranked)
    assert torch.allclose(logits(full), logits(model), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("measured", [True, False])
def test_dead_neurons_leave_nothing_behind(family: str, measured: bool, cutter: Any) -> None:
    model = tiny(family)
    neurons = 128 if family == "gpt2" else 64
    with torch.no_grad():
        for i in range(6):
            dead = torch.randperm(neurons)[: neurons // 2]
            if family == "gpt2":
                mlp = _block(model, i).mlp
                mlp.c_fc.weight[:, dead] = 0
                mlp.c_fc.bias[dead] = 0  # gelu(0) = 0
            else:
                _block(model, i).mlp.up_proj.weight[dead] = 0
    ranked = by_activations(model, cutter, TEXTS) if measured else by_weights(model)
    cut = prune_width(model, intermediate=neurons // 2, importance=ranked)
    assert torch.allclose(logits(cut), logits(model), atol=1e-4)
    assert cut.num_parameters() < model.num_parameters()


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("measured", [True, False])
def test_a_dead_group_of_heads_leaves_nothing_behind(family: str, measured: bool, cutter: Any) -> None:
    model = tiny(family)
    with torch.no_grad():
        for i in range(6):
            attention = _block(model, i).self_attn
            size = attention.head_dim
            rows = slice(i % 2 * size, (i % 2 + 1) * size)
            attention.v_proj.weight[rows] = 0
            if attention.v_proj.bias is not None:
                attention.v_proj.bias[rows] = 0
    ranked = by_activations(model, cutter, TEXTS) if measured else by_weights(model)
    cut = prune_width(model, heads=2, importance=ranked)
    assert torch.allclose(logits(cut), logits(model), atol=1e-5)
    assert (cut.config.num_attention_heads, cut.config.num_key_value_heads) == (2, 1)
    assert cut.config.head_dim == (16 if family == "qwen3" else 8)
    assert generated(cut, cache=True) == generated(cut, cache=False) == generated(model, cache=True)


def test_dead_channels_leave_nothing_behind(cutter: Any) -> None:
    # No epsilon in the norms: with one, fewer channels weigh it otherwise.
    model = tiny("llama", rms_norm_eps=0.0)
    dead = torch.tensor([0, 3, 4, 9, 17, 20, 28, 31])
    with torch.no_grad():
        model.model.embed_tokens.weight[:, dead] = 0
        for block in model.model.layers:
            block.self_attn.o_proj.weight[dead] = 0
            block.mlp.down_proj.weight[dead] = 0
    cut = prune_width(model, hidden=24, importance=by_activations(model, cutter, TEXTS))
    assert torch.allclose(logits(cut), logits(model), atol=1e-4)
    assert cut.config.hidden_size == 24 and cut.lm_head.weight.shape == (400, 24)


@settings(max_examples=15)
@given(st.sampled_from(FAMILIES), st.integers(1, 32), st.integers(1, 64), st.sampled_from([2, 4]))
def test_every_size_runs_with_its_cache(family: str, hidden: int, intermediate: int, heads: int) -> None:
    if family == "gpt2":
        hidden = heads * 8
    cut = prune_width(tiny(family, 2), hidden=hidden, intermediate=intermediate, heads=heads)
    assert logits(cut).isfinite().all()
    assert generated(cut, cache=True) == generated(cut, cache=False)


def test_important_neurons_are_kept_in_their_order(cutter: Any) -> None:
    model = tiny("llama", 2)
    keep = [torch.tensor([1, 7, 30]), torch.tensor([0, 5, 63])]
    scores = [torch.zeros(64).index_fill_(0, own, 1.0) for own in keep]
    chosen = by_weights(model)
    cut = prune_width(
        model, intermediate=3, importance=Importance(chosen.hidden, scores, chosen.groups, chosen.shares, "weights")
    )
    for block, before, own in zip(cut.model.layers, model.model.layers, keep, strict=True):
        assert torch.equal(block.mlp.down_proj.weight, before.mlp.down_proj.weight[:, own])
        assert torch.equal(block.mlp.gate_proj.weight, before.mlp.gate_proj.weight[own])


def test_activations_beat_chance_where_parts_differ(cutter: Any) -> None:
    model = tiny("llama")
    with torch.no_grad():
        for block in model.model.layers:
            block.mlp.up_proj.weight[::2] *= 0.05
    ranked = by_activations(model, cutter, TEXTS)
    wrong = Importance(ranked.hidden, [-score for score in ranked.neurons], ranked.groups, ranked.shares, "weights")
    right = (logits(prune_width(model, intermediate=32, importance=ranked)) - logits(model)).abs().mean()
    worst = (logits(prune_width(model, intermediate=32, importance=wrong)) - logits(model)).abs().mean()
    assert right < 0.2 * worst


def test_scores_are_those_of_the_definition(cutter: Any) -> None:
    model = tiny("llama", 1)
    seen: dict[str, list[Any]] = {"down": [], "out": [], "norm": []}
    block = model.model.layers[0]
    hooks = [
        block.mlp.down_proj.register_forward_pre_hook(lambda _, a: seen["down"].append(a[0][0])),
        block.self_attn.o_proj.register_forward_pre_hook(lambda _, a: seen["out"].append(a[0][0])),
        model.model.norm.register_forward_hook(lambda _, a, o: seen["norm"].append((a[0][0], o[0]))),
    ]
    ranked = by_activations(model, cutter, TEXTS[:2])
    for hook in hooks:
        hook.remove()
    neurons = torch.stack([states.abs().mean(0) for states in seen["down"]]).norm(dim=0)
    assert torch.allclose(ranked.neurons[0], neurons)
    heads = [states.reshape(-1, 4, 8).norm(dim=-1).mean(0).reshape(2, 2).sum(-1) for states in seen["out"]]
    assert torch.allclose(ranked.groups[0], torch.stack(heads).norm(dim=0))
    share = [(x.square() / x.square().sum(-1, keepdim=True)).mean(0) for x, _ in seen["norm"]]
    assert torch.allclose(ranked.shares["model.norm"], torch.stack(share).mean(0))
    assert not model.model.norm._forward_hooks and not block.mlp.down_proj._forward_pre_hooks


def test_what_cannot_be_pruned_is_said(cutter: Any, tmp_path: Any) -> None:
    model = tiny()
    with pytest.raises(ConfigError, match="hidden must be from 1 to the teacher's 32, not 33"):
        prune_width(model, hidden=33)
    with pytest.raises(ConfigError, match="multiple of 2"):
        prune_width(model, heads=3)
    with pytest.raises(ConfigError, match="heads x 8"):
        prune_width(tiny("gpt2"), hidden=16)
    with pytest.raises(DataError, match="calibration"):
        by_activations(model, cutter, ["", ""])
    import transformers

    gemma = transformers.AutoModelForCausalLM.from_pretrained(write_lm(tmp_path / "gemma", "gemma3"))
    with pytest.raises(ModelError, match="gemma3_text"):
        prune_width(gemma, intermediate=8)
