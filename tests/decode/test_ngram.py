"""Prompt look-up against a search written from its definition."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.decode.ngram import PLACES, REACH, Guess, NGrams

texts = st.lists(st.integers(0, 3), max_size=30)


def by_definition(tokens: list[int], k: int, longest: int, shortest: int) -> list[Guess]:
    """Search all places anew for each guess, longest end first."""
    for size in range(min(longest, len(tokens) - 1), shortest - 1, -1):
        places = [i for i in range(size, len(tokens)) if tokens[i - size : i] == tokens[len(tokens) - size :]]
        if not places:
            continue
        reach = size if size < longest else max(REACH, longest)
        agreed = {
            i: max(n for n in range(size, min(reach, i) + 1) if tokens[i - n : i] == tokens[len(tokens) - n :])
            for i in places
        }
        matched = max(agreed.values())
        places = [i for i in places if agreed[i] == matched]
        text, found = list(tokens), []
        for step in range(k):
            next_ = [text[i + step] for i in places]
            counts = Counter(next_)
            token = next(one for one in reversed(next_) if counts[one] == max(counts.values()))
            found.append(Guess(token, matched + step, counts[token] / len(places)))
            places = [i for i in places if text[i + step] == token]
            text.append(token)
        return found
    return []


def tokens_of(guesses: list[Guess]) -> list[int]:
    return [guess.token for guess in guesses]


@given(texts, st.integers(0, 8), st.integers(1, 3), st.integers(0, 3))
def test_what_most_of_the_longest_matches_go_on_with(tokens: list[int], k: int, shortest: int, more: int) -> None:
    index = NGrams(tokens, shortest + more, shortest)
    assert index.guesses(k) == by_definition(tokens, k, shortest + more, shortest)


@given(texts, texts)
def test_a_text_that_grows_is_the_whole_text(first: list[int], more: list[int]) -> None:
    index = NGrams(first)
    index.guesses(4)
    index.extend(more)
    assert index.tokens == first + more
    assert index.guesses(6) == NGrams(first + more).guesses(6)


def test_of_equal_matches_the_latest_counts() -> None:
    # The last token alone was followed by 3 most lately; the last two decide.
    assert tokens_of(NGrams([1, 2, 9, 5, 2, 3, 1, 2], max_ngram=2).guesses(2)) == [9, 5]
    assert tokens_of(NGrams([1, 2, 9, 1, 2, 7, 8, 1, 2], max_ngram=2).guesses(2)) == [7, 8]
    assert tokens_of(NGrams([1, 2, 3, 4, 2]).guesses(3)) == [3, 4, 2]
    assert NGrams([1, 2, 3]).guesses(4) == []


def test_context_beyond_the_n_gram_decides_between_its_places() -> None:
    # 1 2 3 came twice; before the first time stood what stands before it now.
    assert NGrams([8, 9, 1, 2, 3, 4, 7, 7, 1, 2, 3, 5, 8, 9, 1, 2, 3]).guesses(1) == [Guess(4, 5, 1.0)]


def test_the_majority_decides_and_how_sure_it_is_is_told() -> None:
    found = NGrams([1, 5, 6, 1, 5, 7, 1, 8, 1]).guesses(2)
    assert found == [Guess(5, 1, 2 / 3), Guess(7, 2, 1 / 2)]


def test_a_loop_goes_on_past_the_end() -> None:
    assert tokens_of(NGrams([5, 1, 2, 1, 2]).guesses(5)) == [1, 2, 1, 2, 1]


def test_shorter_ends_may_be_left_out() -> None:
    assert NGrams([1, 2, 3, 2], min_ngram=2).guesses(2) == []


def test_of_a_word_that_stands_everywhere_only_the_latest_places_are_read() -> None:
    early = [token for i in range(100) for token in (100 + i, 1, 2)]
    late = [token for i in range(PLACES) for token in (300 + i, 1, 3)]
    assert NGrams([*early, *late, 99, 1]).guesses(1) == [Guess(3, 1, 1.0)]


@pytest.mark.parametrize("sizes", [(1, 2), (0, 0)])
def test_sizes_are_checked(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="n-grams"):
        NGrams([], *sizes)
