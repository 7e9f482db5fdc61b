"""Prompt look-up against a search written from its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.decode.ngram import NGrams, lookup

texts = st.lists(st.integers(0, 3), max_size=30)


def by_definition(tokens: list[int], k: int, longest: int, shortest: int) -> list[int]:
    for size in range(longest, shortest - 1, -1):
        places = [
            i for i in range(len(tokens) - size) if size <= len(tokens) and tokens[i : i + size] == tokens[-size:]
        ]
        if places:
            text = list(tokens)
            for i in range(k):
                text.append(text[places[-1] + size + i])
            return text[len(tokens) :]
    return []


@given(texts, st.integers(0, 8), st.integers(1, 3), st.integers(0, 3))
def test_the_latest_occurrence_of_the_longest_end(tokens: list[int], k: int, shortest: int, more: int) -> None:
    wanted = by_definition(tokens, k, shortest + more, shortest)
    assert lookup(tokens, k, shortest + more, shortest) == wanted
    assert NGrams(tokens, shortest + more, shortest).propose(k) == wanted


def test_the_latest_and_longest_match_is_copied() -> None:
    assert lookup([1, 2, 9, 1, 2, 7, 8, 5, 2, 3, 1, 2], 2, max_ngram=2) == [7, 8]
    # The last token alone was followed by 3 most lately; the last two decide.
    assert lookup([1, 2, 3, 4, 2], 3) == [3, 4, 2]
    assert lookup([1, 2, 3], 4) == []


def test_a_loop_goes_on_past_the_end() -> None:
    assert lookup([5, 1, 2, 1, 2], 5) == [1, 2, 1, 2, 1]


def test_shorter_ends_may_be_left_out() -> None:
    assert lookup([1, 2, 3, 2], 2, min_ngram=2) == []


@pytest.mark.parametrize("sizes", [(1, 2), (0, 0)])
def test_sizes_are_checked(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="n-grams"):
        lookup([1], 1, *sizes)
    with pytest.raises(ValueError, match="n-grams"):
        NGrams([], *sizes)
