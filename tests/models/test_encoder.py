"""The encoder against sentence-transformers' own, whatever the order and the batches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, ModelError
from pilotfish.models.encoder import Encoder
from tests.tiny import TEXTS, write_encoder, write_lm

torch = pytest.importorskip("torch")
library = pytest.importorskip("sentence_transformers")

LONG = "the cat sat on the mat and " * 20
MANY = [*TEXTS, "", "a", LONG, "日本語 🙂", TEXTS[0], " refund "]


@pytest.mark.parametrize("batch_tokens", [1, 100, 4096])
def test_vectors_are_sentence_transformers(tiny_encoder_folder: Path, batch_tokens: int) -> None:
    theirs = library.SentenceTransformer(str(tiny_encoder_folder), device="cpu")
    ours = Encoder(tiny_encoder_folder, device="cpu", batch_tokens=batch_tokens)
    finished: list[int] = []
    got = ours.encode(MANY, progress=finished.append)
    assert sum(finished) == len(MANY)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, theirs.encode(MANY, batch_size=3, show_progress_bar=False), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    assert len({tuple(np.round(row, 3)) for row in got}) == len(set(MANY))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(MANY))), batch_tokens=st.integers(1, 300))
def test_neither_the_order_nor_the_batches_matter(tiny_encoder: Encoder, order: list[int], batch_tokens: int) -> None:
    expected = tiny_encoder.encode(MANY)
    usual, tiny_encoder.batch_tokens = tiny_encoder.batch_tokens, batch_tokens
    try:
        got = tiny_encoder.encode([MANY[i] for i in order])
    finally:
        tiny_encoder.batch_tokens = usual
    np.testing.assert_allclose(got, expected[order], atol=1e-5)


def test_what_is_too_long_is_cut_and_its_length_says_so(tiny_encoder: Encoder) -> None:
    assert tiny_encoder.max_length == 32
    assert tiny_encoder.lengths(["the cat", "", LONG]) == [4, 2, 7 * 20 + 2]
    cut = " ".join(LONG.split()[:30])
    assert tiny_encoder.lengths([cut]) == [32]
    vectors = tiny_encoder.encode([LONG, cut, cut + " refund", cut[:-4]])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    np.testing.assert_allclose(vectors[2], vectors[1], atol=1e-5)
    assert np.abs(vectors[3] - vectors[1]).max() > 1e-4


def test_threads_may_ask_at_once(tiny_encoder: Encoder) -> None:
    texts = [f"the cat sat {i} " * (1 + i % 7) for i in range(200)]
    wanted = tiny_encoder.encode(texts)
    with ThreadPoolExecutor(8) as pool:
        found = np.concatenate(list(pool.map(lambda text: tiny_encoder.encode([text]), texts)))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_encoder_knows_itself(tiny_encoder_folder: Path) -> None:
    encoder = Encoder(tiny_encoder_folder, device="cpu")
    assert encoder.name == tiny_encoder_folder.name
    assert (encoder.dimension, encoder.max_length) == (48, 32)
    assert encoder.parameters == sum(weight.numel() for weight in encoder.model.parameters())
    assert encoder.load().model is encoder.model
    assert encoder.encode([]).shape == (0, 48)
    assert encoder.lengths([]) == []


def test_half_precision_is_near_and_comes_back_as_float32(tiny_encoder: Encoder, tiny_encoder_folder: Path) -> None:
    encoder = Encoder(tiny_encoder_folder, dtype="bfloat16", device="cpu")
    half, whole = encoder.encode(TEXTS), tiny_encoder.encode(TEXTS)
    assert half.dtype == np.float32
    assert 1e-6 < np.abs(half - whole).max() < 0.05
    # Only the products are in half precision: all of it, as `to(bfloat16)` gives, is further off.
    lowered = copy.deepcopy(tiny_encoder.model).bfloat16()
    all_of_it = lowered.encode(TEXTS, convert_to_tensor=True).float().cpu().numpy()
    assert np.abs(half - whole).mean() < np.abs(all_of_it - whole).mean()


def test_a_copy_is_trained_apart(tiny_encoder_folder: Path) -> None:
    encoder = Encoder(tiny_encoder_folder, dtype="bfloat16", device="cpu")
    before = encoder.encode(TEXTS)
    other = encoder.copied()
    assert {weight.dtype for weight in other.model.parameters()} == {torch.float32}
    assert np.abs(other.encode(TEXTS) - before).max() < 0.05
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.mul_(0.5)
    assert np.array_equal(encoder.encode(TEXTS), before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "model.safetensors").write_bytes(b"\x08" + b"\0" * 40), "not an encoder that loads"),
        (lambda f: (f / "model.safetensors").unlink(), "not an encoder that loads"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "not an encoder that loads"),
        (lambda f: (f / "modules.json").write_text("{"), "not an encoder that loads"),
        (lambda f: (f / "1_Pooling" / "config.json").unlink(), "not an encoder that loads"),
    ],
)
def test_damaged_folders_are_one_line(tmp_path: Path, change: Callable[[Path], object], said: str) -> None:
    folder = write_encoder(tmp_path / "encoder")
    change(folder)
    with pytest.raises(ModelError, match=said) as caught:
        Encoder(folder, device="cpu").load()
    assert "\n" not in str(caught.value)


def test_what_is_no_encoder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a language model, not an encoder"):
        Encoder(write_lm(tmp_path / "lm"), device="cpu").load()
    with pytest.raises(ModelError, match="no model 'all-minilm-l6-v3' in the catalog"):
        Encoder("all-minilm-l6-v3").load()
    with pytest.raises(ConfigError, match="dtype must be one of"):
        Encoder("all-minilm-l6-v2", dtype="int3")


@pytest.mark.models
def test_minilm_knows_what_is_alike(minilm: Encoder) -> None:
    texts = ["Where is my card?", "My card has not arrived.", "What is the exchange rate?", "x " * 400]
    vectors = minilm.encode(texts)
    theirs = minilm.model.encode(texts, batch_size=1, show_progress_bar=False)
    np.testing.assert_allclose(vectors, theirs, atol=1e-5)
    assert vectors.shape == (4, 384)
    alike = vectors @ vectors.T
    assert alike[0, 1] > 0.6 > alike[0, 2]
    assert minilm.lengths(texts)[3] > minilm.max_length
    assert minilm.licence == "Apache-2.0"
