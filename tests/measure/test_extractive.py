from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.measure.extractive import exact_match, plain, word_f1


def authors(text: str) -> str:
    """SQuAD's normalisation as its paper describes it, for ASCII."""
    text = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@given(st.text(alphabet=string.printable, max_size=60))
def test_ascii_is_normalised_as_the_paper_has_it(text: str) -> None:
    assert plain(text) == authors(text)


def test_signs_of_any_script_count_nothing() -> None:
    assert plain("„Der Fluß“ – 1912…") == "der fluss 1912"


def test_equal_words() -> None:
    assert exact_match("The Denver Broncos.", ["Carolina", "denver broncos"]) == 1
    assert exact_match("Broncos of Denver", ["denver broncos"]) == 0
    assert exact_match("", [""]) == 1
    assert exact_match("x", []) == 0


def test_shared_words() -> None:
    # 2 shared of 3 and of 4 words
    assert word_f1("big red boat", ["red boat at sea"]) == pytest.approx(2 * 2 / 7)
    assert word_f1("big red boat", ["sea", "the red boat"]) == pytest.approx(2 * 2 / 5)
    assert word_f1("red red", ["red"]) == pytest.approx(2 / 3)  # a word counts as often as both have it
    assert word_f1("the", ["a"]) == 1 and word_f1("the", ["boat"]) == 0
    assert word_f1("x", []) == 0


@given(st.lists(st.sampled_from("abcde"), max_size=8), st.lists(st.sampled_from("abcde"), max_size=8))
def test_f1_is_symmetric_and_1_for_the_same_words(one: list[str], other: list[str]) -> None:
    left, right = " ".join(f"w{x}" for x in one), " ".join(f"w{x}" for x in other)
    assert word_f1(left, [right]) == word_f1(right, [left])
    assert (word_f1(left, [right]) == 1) == (sorted(one) == sorted(other))
