"""Sentences by the library, lines too; runs of them overlap and hold all."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pilotfish.errors import ConfigError
from pilotfish.rows.sentences import pieces_of, sentences_of

pytest.importorskip("sentencex")


def test_sentences_end_where_they_do() -> None:
    assert sentences_of("Dr. Smith went home. He slept.\n\nFirst item\nSecond item") == [
        "Dr. Smith went home.",
        "He slept.",
        "First item",
        "Second item",
    ]
    assert sentences_of("   \n ") == [] and sentences_of("no end") == ["no end"]
    assert len(sentences_of("السلام عليكم. كيف حالك؟", "ar")) == 2


@pytest.mark.parametrize(("size", "overlap"), [(1, 0), (3, 1), (3, 2), (10, 0)])
def test_pieces_hold_all_sentences_in_order(size: int, overlap: int) -> None:
    words = [str(number) for number in range(8)]
    pieces = [piece.split() for piece in pieces_of(words, size, overlap)]
    assert list(dict.fromkeys(word for piece in pieces for word in piece)) == words
    assert all(len(piece) <= size for piece in pieces)
    for one, other in pairwise(pieces):
        assert one[-overlap:] == other[:overlap] if overlap else not set(one) & set(other)
    assert pieces_of([], size, overlap) == []


def test_pieces_go_on() -> None:
    with pytest.raises(ConfigError, match="overlap by fewer"):
        pieces_of(["a"], 2, 2)
