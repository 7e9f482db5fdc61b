"""The reader: every token's log-probability as the model itself has it, however documents are put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.models import _packed
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from tests.tiny import tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ROWS: list[tuple[list[int], int]] = [
    (np.random.default_rng(size).integers(4, 300, size).tolist(), start)
    for size, start in ((30, 1), (29, 7), (2, 1), (17, 16), (17, 17), (64, 3), (5, 2), (5, 4))
]


def plainly(folder: Path, rows: list[tuple[list[int], int]]) -> list[Any]:
    """Return the same by the model's own forward, a row at a time, in float64."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    found = []
    with torch.no_grad():
        for ids, start in rows:
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1].double()
            own = logits.log_softmax(-1).gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
            found.append(own[start - 1 :].numpy())
    return found


def agree(found: list[Any], wanted: list[Any], within: float = 2e-5) -> None:
    assert [len(one) for one in found] == [len(one) for one in wanted]
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=within, rtol=within)


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "qwen3", "gemma3", "mistral"])
@pytest.mark.parametrize("tokens", [16, 1024])
def test_packed_documents_do_not_see_each_other(tiny_folder: Callable[..., Path], family: str, tokens: int) -> None:
    folder = tiny_folder(family, "plain")
    reader = Reader(folder, dtype="float32", device="cpu", pack_tokens=tokens).load()
    assert reader.packs
    agree(reader.logprobs(ROWS), plainly(folder, ROWS))


@pytest.mark.parametrize("packing", [None, False])
def test_pooled_states_are_the_local_models(tiny_folder: Callable[..., Path], packing: bool | None) -> None:
    folder = tiny_folder("llama", "plain")
    texts = ["the cat", "", "a", "z" * 600, "a longer one, of more tokens than the others", "the cat"]
    local = LocalModel(folder, dtype="float32", device="cpu", batch_tokens=40)
    reader = Reader(folder, dtype="float32", device="cpu", pack_tokens=32, packing=packing)
    finished: list[int] = []
    found = reader.pooled(texts, progress=finished.append)
    assert sum(finished) == len(texts) and len(finished) > 1
    np.testing.assert_allclose(found, local.pooled(texts), atol=2e-5)
    for text, own in zip(texts, found, strict=True):
        np.testing.assert_allclose(own, local.hidden([text], truncate=True)[0].mean(axis=0), atol=2e-5)
    assert reader.pooled([]).shape == (0, 0)


@pytest.mark.parametrize("packing", [None, False])
def test_an_answers_states_come_with_its_log_probabilities(
    tiny_folder: Callable[..., Path], packing: bool | None
) -> None:
    folder = tiny_folder("qwen2", "plain")
    reader = Reader(folder, dtype="float32", device="cpu", pack_tokens=48, packing=packing)
    found = reader.read(ROWS)
    agree([logprobs for logprobs, _ in found], plainly(folder, ROWS))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for (ids, start), (_, mean) in zip(ROWS, found, strict=True):
        with torch.no_grad():
            states = model.model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
        wanted = states[start - 1 : -1].mean(dim=0).numpy() if len(ids) > start else np.zeros(states.shape[1])
        np.testing.assert_allclose(mean, wanted, atol=2e-4)


def other(folder: Path, config: Any) -> Path:
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + (1.0 if parameter.ndim == 1 else 0.0))
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def test_caps_of_logits_are_kept(tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.Gemma2Config(
        vocab_size=400, num_key_value_heads=2, head_dim=16, sliding_window=12, query_pre_attn_scalar=24, **sizes
    )
    assert config.attn_logit_softcapping and config.final_logit_softcapping
    config._attn_implementation = "eager"
    folder = other(tmp_path / "gemma2", config)
    reader = Reader(folder, dtype="float32", device="cpu").load()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    ids = ROWS[0][0]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].double()
    wanted = logits.log_softmax(-1).gather(-1, torch.tensor(ids[1:])[:, None])[:, 0].numpy()
    found = reader.logprobs([ROWS[0], ROWS[1]])
    assert reader.packs
    agree(found[:1], [wanted], 1e-4)
    with torch.no_grad():
        local = LocalModel(folder, dtype="float32", device="cpu").model(input_ids=torch.tensor([ids])).logits[0, :-1]
    torch.testing.assert_close(local.double(), logits, atol=1e-3, rtol=1e-3)


def test_a_model_that_carries_a_state_along_is_padded(tmp_path: Path) -> None:
    folder = other(tmp_path / "mamba", transformers.MambaConfig(vocab_size=400, hidden_size=32, num_hidden_layers=2))
    reader = Reader(folder, dtype="float32", device="cpu").load()
    assert not reader.packs
    agree(reader.logprobs(ROWS), plainly(folder, ROWS), 2e-4)


def test_padding_when_asked_for(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder("llama", "plain")
    reader = Reader(folder, dtype="float32", device="cpu", packing=False, pack_tokens=40).load()
    assert not reader.packs
    agree(reader.logprobs(ROWS), plainly(folder, ROWS))


def test_half_precision_is_of_products_alone(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder("llama", "plain")
    reader = Reader(folder, dtype="bfloat16", device="cpu").load()
    embeddings = reader._local.model.get_input_embeddings().weight
    assert embeddings.dtype == torch.float32
    wanted = plainly(folder, ROWS)
    found = np.concatenate(reader.logprobs(ROWS)) - np.concatenate(wanted)
    assert 0 < np.abs(found).mean() < 0.1


def test_a_text_begins_with_what_the_first_token_follows(tiny_folder: Callable[..., Path]) -> None:
    plain, bos = (Reader(tiny_folder("llama", cut), device="cpu") for cut in ("plain", "bos"))
    start = plain.tokenizer.bos_token_id
    assert plain.ids("the cat")[0] == bos.ids("the cat")[0] == start
    assert bos.ids("the cat").count(start) == 1 and plain.ids("") == [start]


def test_progress_identity_and_wrong_rows(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder("llama", "plain")
    reader = Reader(folder, dtype="float32", device="cpu", pack_tokens=64)
    told: list[int] = []
    reader.logprobs(ROWS, progress=told.append)
    assert sum(told) == len(ROWS) and len(told) > 2
    with pytest.raises(DataError, match="row 1: nothing stands before"):
        reader.logprobs([([1, 2], 1), ([1, 2], 0)])
    with pytest.raises(DataError, match="row 0: 600 tokens, llama-plain takes 512"):
        reader.logprobs([([5] * 600, 1)])
    assert reader.logprobs([]) == []
    assert reader.identity != Reader(folder, dtype="bfloat16").identity


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 64))
def test_packs_hold_every_document_once_and_no_more_tokens_than_they_may(lengths: list[int], tokens: int) -> None:
    found = list(_packed.packs(lengths, tokens))
    assert sorted(i for pack in found for i in pack) == list(range(len(lengths)))
    assert all(len(pack) == 1 or sum(lengths[i] for i in pack) <= tokens for pack in found)


def test_what_is_attended_together_covers_each_token_once() -> None:
    pack = _packed.Pack.of((40, 32, 9, 8, 8, 3, 1), "cpu")
    alone = [group for group in pack.groups if isinstance(group, slice)]
    together = [group[0][group[1]].tolist() for group in pack.groups if not isinstance(group, slice)]
    assert alone == [slice(0, 40), slice(40, 72)]
    assert sorted(place for places in together for place in places) == list(range(72, 101))
    assert pack.positions()[0].tolist() == [place for length in pack.lengths for place in range(length)]
    elsewhere = _packed.Pack.of((40, 32, 9), "meta")
    assert not any(isinstance(group, slice) for group in elsewhere.groups)


@pytest.mark.parametrize("packing", [None, False])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "mistral"])
def test_a_prefix_is_read_on_from(tiny_folder: Callable[..., Path], family: str, packing: bool | None) -> None:
    folder = tiny_folder(family, "plain")
    ids = np.random.default_rng(5).integers(4, 300, 70).tolist()
    reader = Reader(folder, dtype="float32", device="cpu", packing=packing).load()
    [wanted] = plainly(folder, [(ids, 1)])
    prefix = reader.prefix()
    first = prefix.read(ids[:30], 1)
    prefix.keep(24)
    second = prefix.read(ids[24:50], 6)  # 24 to 29 are read again, and predict what comes
    third = prefix.read(ids[50:], 1)
    assert prefix.length == 70
    agree([first, second, third], [wanted[:29], wanted[29:49], wanted[50:]])
    # What was forgotten is forgotten: another text from token 10 on.
    other = [*ids[:10], *ids[40:60]]
    prefix.keep(9)
    agree([prefix.read(other[9:], 1)], [plainly(folder, [(other, 10)])[0]])
    prefix.keep(0)
    agree([prefix.read(ids[:5], 1)], [wanted[:4]])
    # Packs are read as before, in between.
    agree(reader.logprobs(ROWS[:3]), plainly(folder, ROWS[:3]))


def test_a_prefix_says_what_is_wrong(tiny_folder: Callable[..., Path]) -> None:
    prefix = Reader(tiny_folder("llama", "plain"), dtype="float32", device="cpu").prefix()
    with pytest.raises(DataError, match="start at 1"):
        prefix.read([5, 6], 0)
    with pytest.raises(DataError, match="513 tokens"):
        prefix.read([5] * 513, 1)
    with pytest.raises(DataError, match="no first 3"):
        prefix.keep(3)


@pytest.mark.parametrize("packing", [None, False])
def test_a_prefix_of_some_places(tiny_folder: Callable[..., Path], packing: bool | None) -> None:
    """Keys and values of the kept tokens stay as they were read, at their own positions."""
    folder = tiny_folder("llama", "plain")
    ids = np.random.default_rng(6).integers(4, 300, 30).tolist()
    reader = Reader(folder, dtype="float32", device="cpu", packing=packing).load()
    prefix = reader.prefix()
    prefix.read(ids[:20], 1)
    chosen = [0, 3, 4, 9, 15]
    prefix.select(chosen)
    found = prefix.read([ids[19], *ids[20:]], 1, range(19, 30))
    # The same by the model itself, whose mask hides the other tokens from what comes later.
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    row = torch.tensor([[*ids[:20], ids[19], *ids[20:]]])
    places = torch.tensor([[*range(20), *range(19, 30)]])
    seen = torch.ones(31, 31, dtype=torch.bool).tril()
    for hidden in set(range(20)) - set(chosen):
        seen[20:, hidden] = False
    mask = torch.zeros(1, 1, 31, 31, dtype=torch.float64).masked_fill(~seen, torch.finfo(torch.float64).min)
    with torch.no_grad():
        logits = model(input_ids=row, position_ids=places, attention_mask=mask, use_cache=False).logits[0]
    own = logits[20:-1].log_softmax(-1).gather(-1, row[0, 21:, None])[:, 0]
    np.testing.assert_allclose(found, own.numpy(), atol=2e-5)
    with pytest.raises(DataError, match="no such places"):
        prefix.select([2, 1])
