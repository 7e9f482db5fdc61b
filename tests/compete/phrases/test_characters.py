"""Characters beside an encoder: the cosine is the weighted mean of both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.phrases.characters import Characters, WithCharacters, choose_share
from pilotfish.compete.phrases.measured import cosines
from pilotfish.compete.phrases.pair import Pair
from pilotfish.errors import ConfigError
from pilotfish.models.encoder import Encoder


def test_the_grams_of_a_word_know_its_ends() -> None:
    assert Characters((3, 4)).grams("Card") == ["<card>", "<ca", "car", "ard", "rd>", "<car", "card", "ard>"]
    assert Characters((3, 3)).grams("a bc") == ["<a>", "<bc>", "<bc", "bc>"]
    assert Characters().grams("  ") == ["<>"]
    with pytest.raises(ConfigError):
        Characters((0, 2))


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_every_text_has_a_vector_of_length_one(texts: list[str]) -> None:
    found = Characters(buckets=64).encode(texts)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert (found >= 0).all()
    np.testing.assert_array_equal(found, Characters(buckets=64).encode([f" {text}  " for text in texts]))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_cosine_is_the_weighted_mean(tiny_encoder: Encoder, share: float) -> None:
    pairs = [("the cat", "the cats"), ("refund", "wrong"), ("bird", "bird")]
    both = WithCharacters(tiny_encoder, share)
    wanted = (1 - share) * cosines(tiny_encoder, pairs) + share * cosines(Characters(), pairs)
    np.testing.assert_allclose(cosines(both, pairs), wanted, atol=1e-5)
    assert both.encode(["a"]).shape == (1, both.dimension) and both.encode([]).shape == (0, both.dimension)
    assert both.identity != WithCharacters(tiny_encoder, 0.7).identity


def test_the_share_that_finds_partners_is_chosen(tiny_encoder: Encoder) -> None:
    # To the tiny encoder names it does not know are letters in any order; their n-grams tell them apart.
    pairs = [Pair(name, f"{name}s") for name in ("marel", "lamer", "ramel", "melar", "relma", "armel")]
    share, found = choose_share(tiny_encoder, pairs)
    assert share > 0 and found[share] == max(found.values()) > found[0.0]
    same = [Pair("the cat", "cat the the"), Pair("bird", "bird bird")]
    assert choose_share(tiny_encoder, same, [0.5, 0.0])[0] == 0.0
    with pytest.raises(ConfigError):
        choose_share(tiny_encoder, pairs, [])
    with pytest.raises(ConfigError):
        WithCharacters(tiny_encoder, 1.2)
