"""The fewest words that change what is said: of one and two words none is missed, as brute force shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.compete.explain.text import flipped, telling_words
from pilotfish.compete.explain.text.words import units, without
from pilotfish.errors import ConfigError
from tests.compete.explain.text.help import TEXTS, table


class Counts:
    """Says "yes" where the words' weights come to more than nought."""

    def __init__(self, weights: dict[str, float]) -> None:
        self.weights, self.classes_ = weights, ["no", "yes"]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        sums = np.array([sum(self.weights.get(word, 0.0) for word in text.split()) for text in texts])
        yes = 1 / (1 + np.exp(-sums))
        return np.stack([1 - yes, yes], axis=1)


@given(st.lists(st.floats(-2, 2).map(lambda one: round(one, 2) + 0.001), min_size=1, max_size=7))
def test_no_smaller_set_of_words_to_take_away_is_missed(weights: list[float]) -> None:
    words = [f"w{place}" for place in range(len(weights))]
    reads, text = Counts(dict(zip(words, weights, strict=True))), " ".join(words)
    said = int(reads.predict_proba([text])[0].argmax())
    found = flipped(reads, text, most=2)
    sizes = [
        size
        for size in (1, 2)
        for gone in combinations(range(len(words)), size)
        if reads.predict_proba([without(text, units(text), gone)])[0].argmax() != said
    ]
    assert found.found == bool(sizes)
    if found.found:
        assert len(found.edits) == min(sizes)
        assert reads.predict_proba([found.text])[0].argmax() != said
        assert found.label == reads.classes_[1 - said] and found.probability >= 0.5


def test_larger_sets_grow() -> None:
    reads = Counts(dict.fromkeys(["a", "b", "c", "d"], 1.0) | {"bias": -0.5})
    found = flipped(reads, "a b c d bias", most=5)
    assert found.found and len(found.edits) == 4 and {word for word, _ in found.edits} == {"a", "b", "c", "d"}
    assert not flipped(reads, "a b c d bias", most=3).found


def test_words_of_the_other_class_take_a_words_place() -> None:
    reads = Counts({"good": 1.0, "fine": 1.0, "bad": -3.0})
    found = flipped(reads, "good and fine", words=["bad"])
    assert found.found and len(found.edits) == 1 and found.edits[0][1] == "bad" and "bad" in found.text
    assert flipped(reads, "good", wanted="yes").edits == ()
    assert not flipped(reads, "", wanted="yes", most=1).found
    with pytest.raises(ConfigError, match="none of the classes"):
        flipped(reads, "good", wanted="maybe")


def test_a_wanted_class_is_looked_for() -> None:
    reads = table()
    found = flipped(reads, "card arrived q", wanted="cat", words=["cat", "sat"])
    assert found.found and found.label == "cat"


def test_telling_words_are_those_of_a_class() -> None:
    told = telling_words(table(), TEXTS, 3)
    assert {"card", "arrived", "where"} == set(told["card"]) and {"cat", "sat", "mat"} == set(told["cat"])
    assert telling_words(table(), [], 3) == {"card": [], "cat": [], "refund": []}
