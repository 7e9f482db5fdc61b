"""Texts side by side: all of each text, each part with what was found of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.evaluate.bertscore import BertScore, Idf
from pilotfish.evaluate.lexical import Rouge
from pilotfish.evaluate.marks import over_spans, sentences, words_marked
from pilotfish.models.encoder import Encoder

TEXTS = st.text(alphabet="ab .!?。\n😀م\x00", max_size=40)


@given(TEXTS, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.floats(0, 1))))
def test_pieces_are_the_text(text: str, spans: list[tuple[int, int, float]]) -> None:
    inside = sorted((min(a, len(text)), min(b, len(text)), share) for a, b, share in spans)
    assert "".join(piece for piece, _ in over_spans(text, inside)) == text
    assert "".join(sentences(text)) == text


@given(TEXTS, TEXTS)
def test_words_found_are_as_many_on_both_sides(one: str, other: str) -> None:
    mine, theirs = words_marked(one, other)
    assert (mine.text, theirs.text) == (one, other)
    found = [sum(share == 1 for _, share in side.pieces) for side in (mine, theirs)]
    assert found[0] == found[1]


def test_words_count_as_often_as_they_stand_and_the_nearest_reference_is_shown() -> None:
    mine, theirs = words_marked("The cat, the dog", ["nothing", "a cat the"])
    assert mine.pieces == [("The", 1), (" ", None), ("cat", 1), (", ", None), ("the", 0), (" ", None), ("dog", 0)]
    assert theirs.pieces == [("a", 0), (" ", None), ("cat", 1), (" ", None), ("the", 1)]
    assert Rouge("rougeL").marked("a", "a")[1].pieces == [("a", 1)]


def test_sentences() -> None:
    assert sentences("One. Two (it is 1.5)! \n三。四") == ["One. ", "Two (it is 1.5)! \n", "三。", "四"]
    assert sentences("") == [] and sentences("no end") == ["no end"]


def test_tokens_are_shaded_by_what_they_have_beyond_what_all_have(tiny_encoder: Encoder) -> None:
    metric = BertScore(tiny_encoder)
    mine, theirs = metric.marked(" the cat sat\n", ["where is my card", "the cat sat"])
    assert (mine.title, mine.text, theirs.text) == ("candidate", "the cat sat", "the cat sat")
    assert [share for piece, share in mine.pieces if piece.strip()] == pytest.approx([1, 1, 1], abs=1e-4)
    mine, theirs = metric.marked("the cat", "where is my card")
    shares = [share for piece, share in (*mine.pieces, *theirs.pieces) if share is not None]
    assert all(0 <= share < 0.9 for share in shares) and min(shares) < 0.5


@pytest.mark.parametrize("text", ["", " ", "\x00", "😀 🏳️‍🌈", "مرحبا بالعالم", "a" * 3000, "the " * 500])
def test_odd_texts_are_marked(tiny_encoder: Encoder, text: str) -> None:
    metric = BertScore(tiny_encoder)
    metric.idf = Idf.over(["the cat"], metric.states)
    for mine, theirs in (metric.marked(text, "the cat"), metric.marked("the cat", [text])):
        assert {mine.text, theirs.text} == {text.strip(), "the cat"}
    with pytest.raises(DataError, match="no reference"):
        metric.marked(text, [])
