"""Batched scores, logits and hidden states against one plain forward pass a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.models import _scoring
from pilotfish.models._tokens import encode, encode_pair
from pilotfish.models.local import LocalModel
from tests.models.brute import forward, tail_logprobs
from tests.tiny import Cut, Family

torch = pytest.importorskip("torch")

# Ids at random, the padding token (2) and id 0 (what padding is filled with) often among them.
IDS = st.lists(st.sampled_from([0, 1, 2]) | st.integers(0, 399), min_size=1, max_size=24)
PAIRS = [
    ("", "the cat"),
    ("the cat", " sat on the mat"),
    ("the cat ", "sat on the mat"),
    ("the cat", ""),
    ("", ""),
    ("a", ""),
    ("<|im_end|><|im_end|>", "<|im_end|>the<|endoftext|> cat"),
    ("Text: the exchange rate is wrong, wrong, wrong! " * 4, "refund"),
    ("Où est l'été ?", " 日本語の文 🙂"),
    ("the cat", " sat on the mat"),
]


@pytest.fixture(scope="module", params=[("llama", "plain"), ("qwen2", "bos"), ("gpt2", "melting")], ids="-".join)
def lm(request: pytest.FixtureRequest, tiny_folder: Callable[[Family, Cut], Path]) -> LocalModel:
    family, cut = request.param
    return LocalModel(tiny_folder(family, cut), dtype="float32", device="cpu").load()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=6), batch_tokens=st.integers(1, 120))
def test_ragged_batches_score_as_single_rows_do(
    lm: LocalModel, rows: list[tuple[list[int], list[int]]], batch_tokens: int
) -> None:
    scored = _scoring.score_ids(lm.model, [(a + b, len(a)) for a, b in rows], batch_tokens=batch_tokens)
    for (context, continuation), one in zip(rows, scored, strict=True):
        expected = tail_logprobs(lm.model, context + continuation, len(context))
        assert one.tokens == tuple(continuation)
        np.testing.assert_allclose(one.logprobs, expected, atol=2e-4)


@pytest.mark.parametrize("batch_tokens", [1, 60, 4096])
def test_texts_score_as_the_brute_force_does(lm: LocalModel, batch_tokens: int) -> None:
    lm.batch_tokens = batch_tokens
    finished: list[int] = []
    scored = lm.score(PAIRS, progress=finished.append)
    assert sum(finished) == len(PAIRS)
    for (context, continuation), one in zip(PAIRS, scored, strict=True):
        ids, split = encode_pair(lm.tokenizer, context, continuation)
        np.testing.assert_allclose(one.logprobs, tail_logprobs(lm.model, ids, split), atol=2e-4)
        best = forward(lm.model, ids)[split - 1 : -1].argmax(axis=-1)
        assert one.greedy == (best.tolist() == ids[split:])
    assert scored[1].tokens == scored[9].tokens
    assert (scored[3].total, scored[3].tokens, scored[3].greedy) == (0.0, (), True)


def test_the_greedy_continuation_is_known_as_such(lm: LocalModel) -> None:
    ids = encode(lm.tokenizer, "the cat sat")
    best = int(forward(lm.model, ids)[-1].argmax())
    first, second = _scoring.score_ids(
        lm.model, [([*ids, best], len(ids)), ([*ids, (best + 1) % 400], len(ids))], batch_tokens=512
    )
    assert (first.greedy, second.greedy) == (True, False)


def test_the_logits_held_at_once_are_bounded(lm: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [([1, 5, 9 + i, 7], 1) for i in range(6)]
    whole = _scoring.score_ids(lm.model, rows, batch_tokens=4096)
    shapes: list[int] = []
    original = lm.model.forward

    def watched(*args: object, **kwargs: object) -> object:
        out = original(*args, **kwargs)
        shapes.append(out.logits.numel())
        return out

    monkeypatch.setattr(_scoring, "LOGITS", 2 * 3 * 400)
    monkeypatch.setattr(lm.model, "forward", watched)
    parts = _scoring.score_ids(lm.model, rows, batch_tokens=4096)
    assert max(shapes) <= 2 * 3 * 400
    assert len(shapes) == 3
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4)


def test_the_padding_token_within_a_text_is_read(tiny_lm: LocalModel) -> None:
    assert tiny_lm.tokenizer.pad_token == "<|im_end|>"
    with_it, without = tiny_lm.score([("the<|im_end|>", " cat"), ("the", " cat")])
    assert abs(with_it.total - without.total) > 1e-3


@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_next_logits_and_hidden_states_are_those_of_single_texts(lm: LocalModel, batch_tokens: int) -> None:
    lm.batch_tokens = batch_tokens
    texts = ["the cat sat on the mat", "", "<|im_end|>a<|im_end|>", "refund " * 20]
    logits = lm.next_logits(texts)
    assert logits.shape == (4, 400)
    assert logits.dtype == np.float32
    for layer in (0, 1, -1):
        states = lm.hidden(texts, layer)
        for text, got in zip(texts, states, strict=True):
            ids = encode(lm.tokenizer, text) or [0]
            with torch.no_grad():
                out = lm.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
            np.testing.assert_allclose(got, out.hidden_states[layer][0].numpy(), atol=2e-4)
    for text, row in zip(texts, logits, strict=True):
        ids = encode(lm.tokenizer, text) or [0]
        with torch.no_grad():
            expected = lm.model(input_ids=torch.tensor([ids])).logits[0, -1].numpy()
        np.testing.assert_allclose(row, expected, atol=3e-4)


def test_nothing_asked_is_nothing_given(tiny_lm: LocalModel) -> None:
    assert tiny_lm.score([]) == []
    assert tiny_lm.hidden([]) == []
    assert len(tiny_lm.next_logits([])) == 0


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there_is_one_line(tiny_lm: LocalModel, layer: int) -> None:
    with pytest.raises(ConfigError, match=f"no layer {layer}: this model has layers 0"):
        tiny_lm.hidden(["the cat"], layer)
