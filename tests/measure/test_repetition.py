"""Repetition against values worked out by hand, and what must hold for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.repetition import distinct, diversity, rep, words

texts = st.lists(st.integers(0, 4), max_size=40)


def test_by_hand() -> None:
    text = words("the cat sat on the cat sat\n down")
    assert len(text) == 8
    # Bigrams: the cat, cat sat, sat on, on the, the cat, cat sat, sat down: 5 of 7 are different.
    assert rep(text, 2) == pytest.approx(2 / 7)
    # Trigrams: the cat sat twice among 6. Four-grams: 5, none twice.
    assert rep(text, 3) == pytest.approx(1 / 6)
    assert rep(text, 4) == 0
    assert diversity(text) == pytest.approx(5 / 7 * 5 / 6)
    assert distinct([text], 1) == pytest.approx(5 / 8)
    assert distinct([text, ["the", "cat", "ran"]], 2) == pytest.approx(6 / 11)


def test_a_loop_and_no_text() -> None:
    assert rep([1, 2] * 50, 4) == pytest.approx(1 - 2 / 97)
    assert (rep([], 2), rep([1, 2], 3), diversity([]), distinct([], 2), distinct([[]], 2)) == (0, 0, 1, 0, 0)
    with pytest.raises(DataError, match="not 0"):
        rep([1], 0)


@given(texts, st.integers(1, 5))
def test_between_nothing_and_all(text: list[int], n: int) -> None:
    assert 0 <= rep(text, n) < 1
    # A repeated n-gram is made of repeated shorter ones.
    assert len(text) < n + 1 or rep(text, n + 1) <= rep(text, n) + 1 / (len(text) - n + 1)
    assert rep(list(range(40)), n) == 0
    assert distinct([text, text], n) <= distinct([text], n)
