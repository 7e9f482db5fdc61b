from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.adapt.knowledge import Brevity, Factuality, Note, Relevance
from pilotfish.errors import ConfigError, ModelError

WORDS = ("wind", "boat", "sail", "cat")


class Counted:
    """Encodes a text by how often each of four words stands in it."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[text.lower().count(word) for word in WORDS] for text in texts], np.float32)


def notes(*texts: str, cards: str = "aaaaaa") -> list[Note]:
    return [Note(text, card) for text, card in zip(texts, cards, strict=False)]


def test_the_nearest_notes_are_kept_best_first() -> None:
    found = asyncio.run(Relevance(Counted(), keep=2)("wind?", notes("cat", "wind and boat", "wind", "sail")))
    assert [note.text for note in found] == ["wind", "wind and boat"]
    assert found[0].relevance == pytest.approx(1.0) and found[1].relevance == pytest.approx(2**-0.5, abs=1e-6)
    assert asyncio.run(Relevance(Counted(), least=0.9)("wind?", notes("cat", "boat"))) == []
    assert asyncio.run(Relevance(Counted())("wind?", [])) == []


def test_a_long_note_keeps_its_sentences_nearest_to_the_question_in_their_order() -> None:
    long = "A cat sat there. The wind blew hard today. Nobody knew why that was. The wind then fell."
    found = asyncio.run(Brevity(Counted(), words=9)("wind?", notes(long, "short")))
    assert [note.text for note in found] == ["The wind blew hard today. The wind then fell.", "short"]


def test_a_note_whose_nearest_sentence_is_too_long_keeps_its_first_words() -> None:
    found = asyncio.run(Brevity(Counted(), words=3)("wind?", notes("The wind blew hard today over there.")))
    assert found[0].text == "The wind blew"


@given(st.lists(st.text(alphabet="wind. cat", max_size=80), min_size=1, max_size=5), st.integers(1, 12))
def test_no_note_is_longer_than_the_budget_and_none_is_lost(texts: list[str], words: int) -> None:
    found = asyncio.run(Brevity(Counted(), words=words)("wind", notes(*texts, cards="a" * 9)))
    assert len(found) == len(texts)
    assert all(len(note.text.split()) <= words for note in found)


def by_equality(pairs: Sequence[tuple[str, str]]) -> list[float]:
    return [float(sentence.strip(".") in text) for text, sentence in pairs]


def test_what_other_cards_say_too_is_likelier_true() -> None:
    some = notes("It blew. It rained.", "It blew.", "It snowed.", cards="abc")
    found = asyncio.run(Factuality(by_equality, keep=3)("q", some))
    assert [(note.text, note.factuality) for note in found] == [
        ("It blew.", 1.0),
        ("It blew. It rained.", 0.5),
        ("It snowed.", 0.0),
    ]


def test_texts_that_are_trusted_bear_notes_out() -> None:
    select = Factuality(by_equality, evidence=lambda note: ["It snowed all day"], least=0.5)
    assert [note.text for note in asyncio.run(select("q", notes("It blew.", "It snowed.")))] == ["It snowed."]


def test_draws_are_of_the_best_ones_and_the_same_again() -> None:
    some = notes(*[f"n{i}." for i in range(6)], cards="abcdef")

    def supports(pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [1.0 - int(sentence[1]) / 10 for _, sentence in pairs]

    def kept(question: str) -> list[str]:
        return [note.text for note in asyncio.run(Factuality(supports, keep=2, seed=0)(question, some))]

    assert kept("one") == kept("one")
    drawn = {text for i in range(60) for text in kept(str(i))}
    assert drawn == {"n0.", "n1.", "n2.", "n3."}
    first = sum("n0." in kept(str(i)) for i in range(60))
    assert first > sum("n3." in kept(str(i)) for i in range(60))


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ModelError, match="need as many numbers"):
        asyncio.run(Factuality(lambda pairs: [], evidence=lambda note: ["x"])("q", notes("a.")))
    with pytest.raises(ConfigError):
        Factuality(by_equality, least=2)
    with pytest.raises(ConfigError):
        Relevance(Counted(), keep=0)
    with pytest.raises(ConfigError):
        Brevity(Counted(), words=0)
