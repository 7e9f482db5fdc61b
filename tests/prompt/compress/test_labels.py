"""Labels: a compressed text is found in its original, word by word, and what is no good is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.prompt.compress.labels import Aligned, aligned, sound
from pilotfish.prompt.compress.units import units_of

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", ",", "."]), min_size=1, max_size=25)


def kept(text: str, compressed: str) -> str:
    found = aligned(text, compressed)
    spans = units_of(text)
    return " ".join(text[a:b] for (a, b), keep in zip(spans, found.kept.tolist(), strict=True) if keep)


@pytest.mark.parametrize(
    ("text", "compressed", "wanted"),
    [
        ("The cat sat on the mat.", "cat sat mat", "cat sat mat"),
        # The article goes with its noun, not with the first noun of the text.
        ("the dog saw the cat", "the cat", "the cat"),
        ("She paid $5.20, he paid $6.", "paid $6", "paid $ 6"),
        # Letters of another size are the same word; a word that was made up is in no place.
        ("Berlin is large", "berlin huge", "Berlin"),
        # What was put in another order is found as far as it goes forward.
        ("one two three four", "three four one", "three four"),
    ],
)
def test_words_are_found_in_their_order(text: str, compressed: str, wanted: str) -> None:
    assert kept(text, compressed) == wanted


def test_the_article_of_the_noun_is_taken() -> None:
    assert aligned("the dog saw the cat", "the cat").kept.tolist() == [False, False, False, True, True]


def longest(a: list[str], b: list[str]) -> int:
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            table[i, j] = table[i - 1, j - 1] + 1 if x == y else max(table[i - 1, j], table[i, j - 1])
    return int(table[-1, -1])


@given(WORDS, WORDS)
def test_as_many_words_are_found_as_can_be(words: list[str], said: list[str]) -> None:
    words, said = ["cat", *words], ["cat", *said]
    found = aligned(" ".join(words), " ".join(said))
    assert int(found.kept.sum()) == longest(words, said)
    chosen = [word for word, keep in zip(words, found.kept.tolist(), strict=True) if keep]
    rest = iter(said)
    assert all(word in rest for word in chosen)


@given(WORDS, st.data())
def test_what_only_leaves_out_has_no_gap_and_no_variation(words: list[str], data: st.DataObject) -> None:
    words = ["cat", *(f"{word}{i}" if word.isalpha() else word for i, word in enumerate(words))]
    keep = [True, *data.draw(st.lists(st.booleans(), min_size=len(words) - 1, max_size=len(words) - 1))]
    said = " ".join(word for word, one in zip(words, keep, strict=True) if one)
    found = aligned(" ".join(words), said)
    assert found.variation == found.gap == 0.0
    letters = [(one, mine) for word, one, mine in zip(words, keep, found.kept.tolist(), strict=True) if word.isalnum()]
    assert all(one == mine for one, mine in letters)


def test_quality() -> None:
    # Two of the four words that were said are not the original's.
    assert aligned("the cat sat down", "the cat slept well").variation == 0.5
    # All of its four words occur in what was said, and one was found in its place.
    assert aligned("one two three four", "four three two one").gap == 0.75
    with pytest.raises(DataError, match="compressed text has no word"):
        aligned("a cat", " , ")


def test_the_worst_are_left_out_and_the_faultless_never() -> None:
    def one(variation: float, gap: float) -> Aligned:
        return Aligned(np.ones(1, bool), variation, gap)

    found = [one(0, 0), one(0.4, 0), one(0.1, 0.3), one(0, 0.2)]
    assert sound(found, variation=0.25, gap=0.25).tolist() == [True, False, False, True]
    assert sound([one(0, 0)] * 4, variation=0.5, gap=0.5).all()
    with pytest.raises(ConfigError, match="shares"):
        sound(found, gap=1.0)
