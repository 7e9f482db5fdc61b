"""Phrases among the same words: positive mutual information by hand, planted pairs, masked sentences."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from pilotfish.compete.phrases.contexts import _contexts, _weighed, in_sentences, shared_contexts
from pilotfish.compete.phrases.find import phrases_in
from pilotfish.compete.phrases.pair import Pair
from pilotfish.compete.phrases.spans import Span
from pilotfish.errors import ConfigError


def test_contexts_know_their_place() -> None:
    found = _contexts([Span("the old cat sat on it", 8, 11), Span("a cat", 2, 5)], 2)
    assert found == Counter({"-1:old": 1, "-2:the": 1, "+1:sat": 1, "+2:on": 1, "-1:a": 1})


def test_weights_are_positive_mutual_information() -> None:
    counts = [Counter({"x": 3, "y": 1}), Counter({"y": 2, "z": 2})]
    found = _weighed(counts).toarray()
    table = np.array([[3, 1, 0], [0, 2, 2]], float)
    wanted = np.zeros_like(table)
    for i in range(2):
        for j in range(3):
            if table[i, j]:
                wanted[i, j] = max(0.0, math.log(table[i, j] * 8 / (table[i].sum() * table[:, j].sum())))
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert _weighed([Counter()]) is None


def test_phrases_among_the_same_words_are_a_pair() -> None:
    frames = [
        "she drives a {} to town",
        "the red {} stopped there",
        "his {} needs fuel",
        "a fast {} won",
        "park the {} now",
    ]
    other = [
        "he eats {} with cheese",
        "fresh {} smells good",
        "bake {} at noon",
        "slices of {} fell",
        "warm {} tastes fine",
    ]
    texts = [one.format(word) for one in frames for word in ("car", "truck")]
    texts += [one.format(word) for one in other for word in ("bread", "toast")]
    found = phrases_in(texts, least=5, longest=1)
    assert set(shared_contexts(found)) == {Pair("car", "truck", "context"), Pair("bread", "toast", "context")}
    assert shared_contexts(found, least=1.0, distinct_contexts=99) == []
    with pytest.raises(ConfigError):
        shared_contexts(found, window=0)


def test_what_shares_a_word_is_no_pair() -> None:
    frames = [
        "she drives a {} to town",
        "the red {} stopped there",
        "his {} needs fuel",
        "a fast {} won",
        "park the {} now",
    ]
    texts = [one.format(word) for one in frames for word in ("race car", "car")]
    found = [one for one in phrases_in(texts, least=5, longest=2, tied=-1) if one.text != "race"]
    assert {one.text for one in found} == {"car", "race car"} and shared_contexts(found) == []


def test_a_sentence_is_masked_where_the_phrase_stood() -> None:
    found = phrases_in(["the cat sat on the mat", "a cat ran", "one more cat"], least=3)
    assert in_sentences(found, "[MASK]") == [Pair("cat", "the [MASK] sat on the mat", "sentence")]
    assert len(in_sentences(found, "[MASK]", each=3)) == 3
    long = phrases_in([f"{'word ' * 100}cat{' word' * 100}"], least=1, longest=1)
    cat = next(one for one in long if one.text == "cat")
    sentence = in_sentences([cat], "…", longest=63)[0].b
    assert "…" in sentence and len(sentence) <= 63 and set(sentence.split()) == {"word", "…"}
