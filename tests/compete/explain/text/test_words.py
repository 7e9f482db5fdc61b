"""Words' places, what tokens' figures come to a word, and texts without some words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.explain.text.words import joined, units, with_words, without


def test_words_signs_and_scripts_without_spaces() -> None:
    text = "It isn't l'été: 2.5 kg of 日本語abc!"
    assert [text[a:b] for a, b in units(text)] == [
        *["It", "isn't", "l'été", ":", "2", ".", "5", "kg", "of", "日", "本", "語", "abc", "!"]
    ]
    assert units("  ") == []


@given(st.text(max_size=60))
def test_between_units_is_only_space(text: str) -> None:
    places = units(text)
    assert all(a < b for a, b in places) and places == sorted(places)
    left = without(text, places, range(len(places)))
    assert not left or not any(one.isalnum() for one in left)


def test_tokens_are_shared_out_by_characters() -> None:
    text = "unhappy cats"
    places = units(text)
    # "un", "happy cat" over both words, "s", and a special token.
    found, rest = joined([(0, 2), (2, 11), (11, 12), (0, 0)], [1.0, 8.0, 2.0, 0.5], places)
    np.testing.assert_allclose(found, [1 + 8 * 5 / 8, 8 * 3 / 8 + 2])
    assert rest == 0.5


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6), st.floats(-3, 3)), max_size=12),
    st.text(alphabet="ab ,", min_size=1, max_size=30),
)
def test_nothing_is_lost(tokens: list[tuple[int, int, float]], text: str) -> None:
    spans = [(start, start + size) for start, size, _ in tokens]
    shares = [share for _, _, share in tokens]
    found, rest = joined(spans, shares, units(text))
    assert found.sum() + rest == pytest.approx(sum(shares), abs=1e-9)


def test_words_go_and_others_come() -> None:
    text = "the cat, sat"
    places = units(text)
    assert without(text, places, [1]) == "the , sat"
    assert without(text, places, [0, 1, 2]) == "sat"
    assert with_words(text, places, {1: "dog", 3: ""}) == "the dog,"
