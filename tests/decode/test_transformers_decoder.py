"""What only transformers' own forward can decode: recurrent and hybrid models, families that take no 4-D mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from pilotfish.decode import transformers_decoder
from pilotfish.decode._transformers_states import KEPT
from pilotfish.decode.transformers_decoder import TransformersDecoder
from pilotfish.errors import ModelError
from tests.decode.conformance import same
from tests.decode.reference import ReferenceDecoder

if TYPE_CHECKING:
    from tests.conftest import TinyFolder

SIZES = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2}
PROMPTS = [[5, 17, 42, 9, 8, 7, 211, 44, 45, 46], [3, 250], [7]]


def _model(config: Any) -> Any:
    torch.manual_seed(3)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def _recurrent() -> dict[str, Any]:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}
    return {
        "mamba": transformers.MambaConfig(**SIZES, state_size=8, use_mambapy=False),
        "mamba2": transformers.Mamba2Config(**SIZES, state_size=8, num_heads=4, head_dim=16, n_groups=2, chunk_size=8),
        "qwen3-next": transformers.Qwen3NextConfig(
            **SIZES,
            **heads,
            head_dim=16,
            layer_types=["linear_attention", "full_attention"],
            linear_num_value_heads=4,
            linear_num_key_heads=2,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            num_experts=2,
            num_experts_per_tok=1,
            moe_intermediate_size=16,
            shared_expert_intermediate_size=16,
        ),
        "lfm2": transformers.Lfm2Config(**SIZES, **heads, layer_types=["conv", "full_attention"]),
    }


@pytest.fixture(scope="module", params=["mamba", "mamba2", "qwen3-next", "lfm2"])
def recurrent(request: pytest.FixtureRequest) -> Any:
    return _model(_recurrent()[request.param])


def test_a_recurrent_model_feeds_rolls_back_and_forks(recurrent: Any) -> None:
    decoder, reference = TransformersDecoder(recurrent), ReferenceDecoder(recurrent)
    assert not decoder.trees
    prompts = [[prompt] for prompt in PROMPTS]
    rows, logits = decoder.start(prompts)
    theirs, expected = reference.start(prompts)
    same(logits, expected)

    def both(more: list[list[int]]) -> None:
        for mine, other in zip(decoder.feed(rows, more), reference.feed(theirs, more), strict=True):
            same(mine, other)

    both([[1, 2, 3], [4], [5, 6]])
    # Back within the states that are kept, back to the prompt, and back past them.
    decoder.rollback(rows[0], 1)
    decoder.rollback(rows[1], 0)
    reference.rollback(theirs[0], 1)
    reference.rollback(theirs[1], 0)
    copy, other = decoder.fork(rows[0]), reference.fork(theirs[0])
    long = list(range(20, 20 + 3 * KEPT))
    both([long, long, long])
    for row, their in zip(rows, theirs, strict=True):
        decoder.rollback(row, 4)
        reference.rollback(their, 4)
    both([[9, 8], [7], [6]])
    same(decoder.feed([copy], [[50, 51]])[0], reference.feed([other], [[50, 51]])[0])
    with pytest.raises(ModelError, match="no trees"):
        decoder.feed([copy], [[1]], [[-1]])


def test_a_recurrent_row_keeps_few_states() -> None:
    decoder = TransformersDecoder(_model(_recurrent()["mamba"]))
    [row], _ = decoder.start([[PROMPTS[0]]])
    decoder.feed([row], [list(range(100))])
    assert len(row.state.cache.marks) <= KEPT + 1


@pytest.mark.parametrize("family", ["gpt_neox", "opt", "phi", "gemma2", "falcon"])
def test_a_family_without_joint_rows_is_run_row_by_row(family: str) -> None:
    heads = {"num_attention_heads": 4, "max_position_embeddings": 64}
    config = {
        "gpt_neox": transformers.GPTNeoXConfig(**SIZES, **heads, intermediate_size=48),
        "opt": transformers.OPTConfig(**SIZES, **heads, ffn_dim=48, word_embed_proj_dim=32),
        "phi": transformers.PhiConfig(**SIZES, **heads, intermediate_size=48),
        "gemma2": transformers.Gemma2Config(
            **SIZES, **heads, intermediate_size=48, num_key_value_heads=2, head_dim=8, sliding_window=5
        ),
        "falcon": transformers.FalconConfig(**SIZES, **heads),
    }[family]
    model = _model(config)
    decoder, reference = TransformersDecoder(model), ReferenceDecoder(model)
    assert not decoder.trees
    rows, logits = decoder.start([[prompt] for prompt in PROMPTS])
    theirs, expected = reference.start([[prompt] for prompt in PROMPTS])
    same(logits, expected)
    for more in ([[1, 2, 3], [4], [5, 6]], [[1], [2], [3]]):
        for mine, other in zip(decoder.feed(rows, more), reference.feed(theirs, more), strict=True):
            same(mine, other)
    for row, their in zip(rows, theirs, strict=True):
        decoder.rollback(row, 1)
        reference.rollback(their, 1)
    for mine, other in zip(
        decoder.feed(rows, [[8], [9, 10], [11]]), reference.feed(theirs, [[8], [9, 10], [11]]), strict=True
    ):
        same(mine, other)


def test_many_prompts_go_through_several_passes(tiny_folder: TinyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_decoder, "BATCH_TOKENS", 12)
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder("qwen2")).eval()
    decoder, reference = TransformersDecoder(model), ReferenceDecoder(model)
    prompts = [[list(range(20, 20 + n))] for n in (3, 40, 5, 4, 6, 7, 2)]
    rows, logits = decoder.start(prompts)
    theirs, expected = reference.start(prompts)
    same(logits, expected)
    more = [[i + 1] for i in range(7)]
    for mine, other in zip(decoder.feed(rows, more), reference.feed(theirs, more), strict=True):
        same(mine, other)


def test_a_model_that_ignores_its_cache_is_refused() -> None:
    class Forgetful(transformers.GPTNeoXForCausalLM):  # type: ignore[misc]
        def forward(self, *args: Any, past_key_values: Any = None, **kwargs: Any) -> Any:
            return super().forward(*args, **kwargs)

    torch.manual_seed(0)
    model = Forgetful(transformers.GPTNeoXConfig(**SIZES, num_attention_heads=4, intermediate_size=48)).eval()
    with pytest.raises(ModelError, match=r"Forgetful: .*(cannot be|other logits)"):
        TransformersDecoder(model)


def test_an_encoder_is_refused() -> None:
    with pytest.raises(ModelError, match="no language modelling head"):
        TransformersDecoder(
            transformers.BertModel(transformers.BertConfig(**SIZES, num_attention_heads=4, intermediate_size=48))
        )
