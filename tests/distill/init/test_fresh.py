"""Students with random weights: seeded, of the sizes asked for."""

from __future__ import annotations

import pytest
import torch

from pilotfish.distill.init import from_config
from pilotfish.errors import ConfigError
from tests.distill.init.models import generated, logits, tiny


def test_the_seed_decides_the_weights_and_nothing_else_does() -> None:
    config = tiny().config
    torch.manual_seed(99)
    before = torch.get_rng_state()
    first = from_config(config, seed=4, hidden_size=16, num_hidden_layers=2)
    assert torch.equal(torch.get_rng_state(), before)
    second = from_config(config, seed=4, hidden_size=16, num_hidden_layers=2)
    other = from_config(config, seed=5, hidden_size=16, num_hidden_layers=2)
    assert torch.equal(logits(first), logits(second))
    assert not torch.equal(logits(first), logits(other))
    assert first.config.hidden_size == 16 and config.hidden_size == 32


def test_lists_of_layers_follow() -> None:
    config = tiny("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=3).config
    made = from_config(config, num_hidden_layers=2)
    assert made.config.layer_types == ["full_attention", "sliding_attention"]
    assert generated(made, cache=True) == generated(made, cache=False)
    assert from_config(tiny("gpt2").config, n_layer=2, n_embd=16, n_head=2).config.n_layer == 2


def test_the_dtype_is_that_asked_for() -> None:
    made = from_config(tiny().config, dtype=torch.bfloat16, num_hidden_layers=1)
    assert {weight.dtype for weight in made.parameters()} == {torch.bfloat16}


def test_sizes_that_do_not_fit_are_said() -> None:
    config = tiny().config
    with pytest.raises(ConfigError, match=r"no setting .hiden_size.*hidden_size"):
        from_config(config, hiden_size=8)
    with pytest.raises(ConfigError, match="cannot be made"):
        from_config(tiny("gpt2").config, n_embd=30)
    with pytest.raises(ConfigError, match="cannot be made"):
        from_config(tiny("qwen2").config, num_hidden_layers=9, layer_types=["full_attention"])
