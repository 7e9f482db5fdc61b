"""Hashed words, n-grams of words and of characters: C and numpy agree, and both are what counting by hand gives."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.models.classify.buckets import Buckets, Hasher

TEXTS = ["a cat, the cat!", "", "  \n ", "Où est l'été? 日本語の文 🙂", "x", "under_score 2024 I'm"]


def sets_of(found: Buckets) -> list[set[int]]:
    return [set(found.at([i]).bucket.tolist()) for i in range(len(found.counts))]


@pytest.mark.parametrize("characters", [(0, 0), (1, 1), (3, 5), (2, 16)])
def test_c_and_numpy_make_the_same_buckets(characters: tuple[int, int]) -> None:
    fast, plain = Hasher(2, 20, characters=characters), Hasher(2, 20, characters=characters, native=False)
    if fast._library is None:
        pytest.skip("no C compiler here")
    for _ in range(2):  # what is remembered changes nothing
        assert sets_of(fast(TEXTS)) == sets_of(plain(TEXTS))
        assert fast(TEXTS).counts.tolist() == plain(TEXTS).counts.tolist()


@settings(max_examples=40)
@given(st.lists(st.text(max_size=30), max_size=5), st.integers(1, 4), st.integers(0, 4))
def test_any_text_is_hashed_alike(texts: list[str], least: int, more: int) -> None:
    fast = Hasher(3, 16, characters=(least, least + more))
    plain = Hasher(3, 16, characters=(least, least + more), native=False)
    found, other = fast(texts), plain(texts)
    assert sets_of(found) == sets_of(other)
    assert found.words.tolist() == other.words.tolist()


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["cat", "dog", "ab", "a", "日本", "x1"]), max_size=4), st.integers(1, 3))
def test_the_number_of_features_is_what_counting_by_hand_gives(words: list[str], least: int) -> None:
    most = least + 1
    found = Hasher(2, 24, characters=(least, most))([" ".join(words)])
    grams: set[str] = set()
    for word in words:
        marked = f"<{word}>"
        grams |= {marked[i : i + n] for n in range(least, most + 1) for i in range(len(marked) - n + 1)} - {"<", ">"}
    ended = [*words, "END"] if words else []
    features = {(word,) for word in ended} | set(itertools.pairwise(ended))
    assert len(sets_of(found)[0]) == len(features) + len(grams)


def test_a_word_and_the_same_letters_as_an_n_gram_differ() -> None:
    words, both = Hasher(1, 20)(["cat"]), Hasher(1, 20, characters=(3, 3))(["cat"])
    assert sets_of(words)[0] < sets_of(both)[0]
    assert len(sets_of(both)[0] - sets_of(words)[0]) == len({"<ca", "cat", "at>"})


def test_some_texts_of_many() -> None:
    found = Hasher(2, 20)(TEXTS)
    some = found.at([3, 0, 1, 0])
    assert some.counts.tolist() == found.counts[[3, 0, 1, 0]].tolist()
    assert some.words.tolist() == found.words[[3, 0, 1, 0]].tolist()
    assert sets_of(some) == [sets_of(found)[i] for i in (3, 0, 1, 0)]
    weights = np.random.default_rng(0).normal(size=1 << 20).astype(np.float32)
    np.testing.assert_allclose(some.sums(weights), found.sums(weights)[[3, 0, 1, 0]])
    assert len(found.at([]).bucket) == 0


def test_words_are_runs_of_letters_and_digits() -> None:
    assert Hasher(1, 20)(["naïve café_1, no"]).words[0] == len(re.findall(r"\w+|[^\w\s]", "naïve café_1, no"))
