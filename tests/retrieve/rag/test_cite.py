from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ModelError
from pilotfish.retrieve.rag.cite import Cited, checked, citations, uncited


def test_sentences_and_what_they_cite() -> None:
    found = citations("The boat sank. [1] All were saved [2][3]. Why? Nobody knows [1, 4–5].")
    assert found == [
        Cited("The boat sank.", (1,)),
        Cited("All were saved.", (2, 3)),
        Cited("Why?", ()),
        Cited("Nobody knows.", (1, 4, 5)),
    ]


def test_a_citation_behind_the_stop_belongs_to_the_sentence_before_it() -> None:
    assert citations("One thing.[2] Another thing.[1]") == [Cited("One thing.", (2,)), Cited("Another thing.", (1,))]


def test_lines_are_sentences_and_empty_ones_are_none() -> None:
    assert citations("\n- first [1]\n\n- second\n") == [Cited("- first", (1,)), Cited("- second", ())]
    assert citations("") == []


def test_a_range_that_no_answer_has_is_its_ends() -> None:
    assert citations("So [1-1000000000000].")[0].numbers == (1, 100000000)
    assert citations("So [3-1].")[0].numbers == (3, 1)


def test_numbers_that_no_passage_has_are_taken_out() -> None:
    assert uncited("A [1]. B [7]. C [2, 9].", 2) == "A [1]. B. C [2]."
    assert uncited("Nothing cited [a] here.", 2) == "Nothing cited [a] here."


@given(st.text(alphabet="ab. [],123-\n", max_size=80), st.integers(0, 3))
def test_what_is_left_cites_only_what_is_there(text: str, count: int) -> None:
    left = uncited(text, count)
    assert all(1 <= number <= count for one in citations(left) for number in one.numbers)


def test_each_sentence_is_checked_against_all_that_it_cites_together() -> None:
    asked: list[tuple[str, str]] = []

    def supports(pairs: list[tuple[str, str]]) -> list[float]:
        asked.extend(pairs)
        return [0.9, 0.1]

    found = checked(citations("A is B [1, 2]. C [2]. D. E [5]."), ["one", "two"], supports)  # type: ignore[arg-type]
    assert asked == [("one\n\ntwo", "A is B."), ("two", "C.")]
    assert [one.support for one in found] == [0.9, 0.1, None, 0.0]


def test_a_number_for_each_is_needed() -> None:
    with pytest.raises(ModelError, match="1 citations need as many numbers"):
        checked(citations("A [1]."), ["one"], lambda pairs: [])
    with pytest.raises(ModelError, match="from 0 to 1"):
        checked(citations("A [1]."), ["one"], lambda pairs: [1.5])
