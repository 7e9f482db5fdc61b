"""Poolings: the states by hand; a folder that any encoder takes; the best one is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pilotfish.compete.phrases.pair import Pair
from pilotfish.compete.phrases.pooling import POOLINGS, Pooling, Repooled, choose_pooling, repooled
from pilotfish.errors import ConfigError
from pilotfish.models.encoder import Encoder

TEXTS = ["the cat", "a refund for the top up", "bird", "the dog sat on the mat, it is wrong"]


def by_hand(encoder: Encoder, text: str, pooling: str) -> NDArray[np.float32]:
    ids = torch.tensor([encoder.tokenizer(text)["input_ids"]])
    with encoder.reading() as body:
        layers = body(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True).hidden_states
    one = {
        "mean": lambda: layers[-1][0].mean(0),
        "cls": lambda: layers[-1][0][0],
        "max": lambda: layers[-1][0].max(0).values,
        "first-last": lambda: ((layers[1] + layers[-1]) / 2)[0].mean(0),
        "last-2": lambda: ((layers[-2] + layers[-1]) / 2)[0].mean(0),
    }[pooling]()
    return np.asarray(torch.nn.functional.normalize(one, dim=0).numpy())


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "first-last", "last-2"])
def test_vectors_are_those_of_the_states(tiny_encoder: Encoder, tmp_path: Path, pooling: Pooling) -> None:
    found = repooled(tiny_encoder, pooling)
    vectors = found.encode(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(vector, by_hand(tiny_encoder, text, pooling), atol=1e-5)
    # What is saved is a plain folder: whoever names it gets the same vectors.
    found.model.save(str(tmp_path / "made"), create_model_card=False)
    again = Encoder(tmp_path / "made", device="cpu")
    np.testing.assert_allclose(again.encode(TEXTS), vectors, atol=1e-6)
    assert again.max_length == tiny_encoder.max_length and again.dimension == tiny_encoder.dimension


def test_the_encoder_stays_as_it_is(tiny_encoder: Encoder) -> None:
    before = tiny_encoder.encode(TEXTS)
    assert repooled(tiny_encoder, "own") is tiny_encoder
    found = repooled(tiny_encoder, "last-2")
    assert isinstance(found, Repooled) and found.pooling == "last-2"
    assert found.identity != repooled(tiny_encoder, "cls").identity  # type: ignore[attr-defined]
    assert not Path(found.weights).exists() and found.name != tiny_encoder.name
    np.testing.assert_array_equal(tiny_encoder.encode(TEXTS), before)
    assert not tiny_encoder.model[0].auto_model.config.output_hidden_states


def test_what_is_none_is_said(tiny_encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match="pooling is one of"):
        repooled(tiny_encoder, "middle")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="has 2 layers"):
        repooled(tiny_encoder, "last-4")
    with pytest.raises(ConfigError):
        choose_pooling(tiny_encoder, [Pair("a", "b")], ["last-4"])


def test_the_pooling_that_finds_partners_is_chosen(tiny_encoder: Encoder) -> None:
    words = ["cat", "mat", "dog", "bird", "song", "sea", "refund", "card", "category", "text", "rate", "wrong"]
    # Phrases with a word in common: pooled over their tokens they are near; a first token alone knows less of it.
    pairs = [Pair(f"the {word}", f"{word} the the") for word in words]
    choice = choose_pooling(tiny_encoder, pairs)
    assert set(choice.found) == set(POOLINGS) - {"last-4"} and choice.pairs == len(pairs)
    best = max(one.value for one in choice.found.values())
    assert choice.found[choice.pooling].value == best > choice.found["cls"].value - 1e-9
    assert choice.pooling in str(choice)
