"""Budgets are met: never more, one token less at most, whatever the text and the tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.prompt.compress.count import CHARACTERS, WORDS, Count, counted_by
from pilotfish.prompt.compress.fit import Kept, Units, fitted
from pilotfish.prompt.compress.units import units_of
from tests.tiny import CORPUS, tokenizer

pytest.importorskip("transformers")

PIECES = st.sampled_from(
    [
        *("the", "cat", "sat,", "on", "mat.", "12,345", "don't", "\n", "\n\n", "\t", "naïve", "日本語", "Where"),
        *('{"a":', "[1]}", "x=y;", "def", "f():", "return"),
        " ",
        "  ",
        "\n\n\n\n",
        " " * 40,
        "🙂",
        "👩\u200d🚀",
        "é\u0301",
        "\u202e",
        "loremipsumdolorsitamet" * 4,
        "\x00",
        "ﷺ",
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=80).map(" ".join) | st.lists(PIECES, min_size=1, max_size=50).map("".join)


@cache
def counts(name: str) -> Count:
    return counted_by(name if name in ("words", "characters") else tokenizer(name))  # type: ignore[arg-type]


def kept(text: str, budget: int, count: Count, seed: int = 0, whole: float = 0.0) -> Kept:
    spans = units_of(text)
    random = np.random.default_rng(seed)
    n = len(spans)
    return fitted(Units(text, spans, random.random(n), random.random(n) < whole, np.zeros(n, bool)), budget, count)


@settings(max_examples=200)
@given(TEXTS, st.floats(0.02, 0.98), st.sampled_from(["plain", "melting", "bos", "characters"]), st.integers(0, 3))
def test_never_more_than_the_budget_and_one_less_at_most(text: str, share: float, name: str, seed: int) -> None:
    count = counts(name)
    before = count(text)
    budget = max(1, int(before * share))
    found = kept(text, budget, count, seed, whole=0.3)
    out = "".join(text[start:end] for start, end in found.spans)
    assert found.size == count(out) <= budget
    assert all(a < b for a, b in found.spans)
    assert all(one[1] < other[0] for one, other in pairwise(found.spans))
    if before > budget:
        # A character is never cut: of one that is four tokens, three may be missing.
        longest = max(count(letter) for letter in set(text))
        assert found.size >= budget - max(1, longest - 1)


@pytest.mark.parametrize("name", ["plain", "melting", "bos"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_plain_text_of_any_length_within_one_token(name: str, share: float) -> None:
    count = counts(name)
    words = " ".join(CORPUS).split(" ")
    for length in (15, 40, 200, 1500):
        text = " ".join(np.random.default_rng(length).choice(words, length))
        before = count(text)
        budget = max(1, int(before * share))
        found = kept(text, budget, count, length)
        assert budget - 1 <= found.size <= budget
        assert found.counted <= 40


def test_a_long_text_needs_few_counts_of_the_whole() -> None:
    seen = []

    def count(text: str) -> int:
        seen.append(len(text))
        return counts("plain")(text)

    words = " ".join(CORPUS).split(" ")
    text = " ".join(np.random.default_rng(0).choice(words, 12_000))
    before = counts("plain")(text)
    assert before > 20_000
    found = kept(text, 7000, count)  # type: ignore[arg-type]
    assert 6999 <= found.size <= 7000
    assert sum(length > 100 for length in seen) <= found.counted <= 24


def test_the_best_units_are_kept() -> None:
    text = "one two three four five six"
    spans = units_of(text)
    priority = np.array([0.1, 0.9, 0.2, 0.8, 0.3, 0.7])
    no = np.zeros(6, bool)
    found = fitted(Units(text, spans, priority, no, no), 3, WORDS)
    assert "".join(text[start:end] for start, end in found.spans) == "two four six"


def test_a_unit_that_crosses_is_cut_and_a_whole_one_is_not() -> None:
    text = "abcdefgh xyz"
    spans = units_of(text)
    no = np.zeros(2, bool)
    units = Units(text, spans, np.array([1.0, 0.0]), no, no)
    assert fitted(units, 5, CHARACTERS).spans == ((0, 5),)
    whole = Units(text, spans, np.array([1.0, 0.0]), np.array([True, False]), no)
    # The whole one does not fit and is lost; the other one does not fill the budget, so that in the end it is cut.
    found = fitted(whole, 8, CHARACTERS)
    assert found.spans == ((0, 8),)
    assert found.lost == ()
    found = fitted(whole, 4, CHARACTERS)
    assert found.spans == ((9, 12),)
    assert found.lost == ((0, 8),)


def test_what_is_locked_is_kept_or_the_budget_is_too_small() -> None:
    text = "keep this please and drop that"
    spans = units_of(text)
    locked = np.array([True, True, False, False, False, False])
    no = np.zeros(6, bool)
    found = fitted(Units(text, spans, np.arange(6.0), no, locked), 3, WORDS)
    assert "".join(text[start:end] for start, end in found.spans) == "keep this that"
    with pytest.raises(DataError, match="is 2 long, of a budget of 1"):
        fitted(Units(text, spans, np.arange(6.0), no, locked), 1, WORDS)


def test_a_text_of_wide_characters_comes_as_near_as_it_can() -> None:
    count = counts("plain")
    text = "🙂" * 30
    assert count("🙂") > 1
    found = kept(text, 7 * count("🙂") + 1, count)
    assert found.size == 7 * count("🙂")


@pytest.mark.parametrize("make", ["transformers", "tokenizers", "function"])
def test_counts_of_every_kind_of_tokenizer(make: str) -> None:
    whole = tokenizer("bos")
    kinds: dict[str, Callable[[], Any]] = {
        "transformers": lambda: whole,
        "tokenizers": lambda: whole.backend_tokenizer,
        "function": lambda: lambda text: len(whole(text, add_special_tokens=False)["input_ids"]),
    }
    count = counted_by(kinds[make]())
    # The token that begins every text is the conversation's.
    assert count("the cat sat") == len(whole("the cat sat")["input_ids"]) - 1
    assert count("") == 0
