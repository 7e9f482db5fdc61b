"""Dropping layers: which stay, and that what stays runs as it did."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.distill.init import drop_layers, evenly
from pilotfish.errors import ConfigError, ModelError
from tests.distill.init.models import IDS, generated, logits, tiny


@given(st.integers(2, 100), st.data())
def test_layers_are_spread_evenly_with_the_first_and_the_last(count: int, data: Any) -> None:
    keep = data.draw(st.integers(2, count))
    kept = evenly(count, keep)
    assert kept[0] == 0 and kept[-1] == count - 1
    assert len(kept) == keep and kept == sorted(set(kept))
    for i, layer in enumerate(kept):
        assert abs(layer - i * (count - 1) / (keep - 1)) <= 0.5


def test_the_edges_of_evenly() -> None:
    assert evenly(6, 6) == [0, 1, 2, 3, 4, 5]
    assert evenly(6, 1) == [0]
    for keep in (0, 7):
        with pytest.raises(ConfigError, match="from 1 to 6"):
            evenly(6, keep)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gpt2"])
def test_the_cut_model_computes_what_its_layers_compute(family: str) -> None:
    model = tiny(family)
    cut = drop_layers(model, keep=3)
    # The same layers of the teacher, one after the other; the rest of it between the embedding and the head.
    name = "h" if family == "gpt2" else "layers"
    base = model.base_model
    whole = getattr(base, name)
    setattr(base, name, torch.nn.ModuleList([whole[i] for i in (0, 2, 5)]))
    if family == "gpt2":
        base.config.n_layer = 3
    else:
        base.config.num_hidden_layers = 3
    assert torch.equal(logits(cut), logits(model))


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gpt2"])
def test_it_generates_the_same_with_and_without_its_cache(family: str) -> None:
    cut = drop_layers(tiny(family), layers=[1, 4])
    assert generated(cut, cache=True) == generated(cut, cache=False)
    attention = [m for m in cut.modules() if getattr(m, "layer_idx", None) is not None]
    assert {m.layer_idx for m in attention} == {0, 1}


def test_keeping_all_changes_nothing_and_shares_nothing() -> None:
    model = tiny()
    cut = drop_layers(model, keep=6)
    assert torch.equal(logits(cut), logits(model))
    before = logits(model).clone()
    with torch.no_grad():
        for parameter in cut.parameters():
            parameter.zero_()
    assert torch.equal(logits(model), before)


def test_lists_of_the_config_follow_the_layers() -> None:
    model = tiny("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=3)
    assert model.config.layer_types == ["full_attention"] * 3 + ["sliding_attention"] * 3
    cut = drop_layers(model, layers=[0, 3, 5])
    assert cut.config.layer_types == ["full_attention", "sliding_attention", "sliding_attention"]
    assert cut.config.max_window_layers == 1 and cut.config.num_hidden_layers == 3
    assert model.config.num_hidden_layers == 6 and len(model.config.layer_types) == 6
    assert generated(cut, cache=True) == generated(cut, cache=False)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tied_embeddings_stay_tied_and_the_dtype_stays(tied: bool, dtype: Any) -> None:
    cut = drop_layers(tiny(tie_word_embeddings=tied, dtype=dtype), keep=2)
    assert (cut.lm_head.weight is cut.model.embed_tokens.weight) == tied
    assert {parameter.dtype for parameter in cut.parameters()} == {dtype}
    assert cut.model.rotary_emb.inv_freq.dtype == torch.float32
    assert not cut.training


def test_what_cannot_be_dropped_is_said() -> None:
    model = tiny()
    for wrong in ([], [2, 1], [0, 0], [0, 6], [-1, 2]):
        with pytest.raises(ConfigError, match="ascending order"):
            drop_layers(model, layers=wrong)
    with pytest.raises(ConfigError, match="not both"):
        drop_layers(model, keep=2, layers=[0, 1])
    with pytest.raises(ModelError, match="layer's place"):
        drop_layers(tiny("gpt2", scale_attn_by_inverse_layer_idx=True), keep=2)
    assert IDS.shape == (1, 10)
