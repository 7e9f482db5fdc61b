"""Consistency: each sentence's best evidence, whatever the other pieces say; the worst one is not hidden."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.consistency import Consistency

pytest.importorskip("sentencex")

SOURCE = "Anna was born in Oslo. She moved to Bergen in 1990. There she met Per. They like fish."


class Reads:
    """Inference by words: a hypothesis whose words all stand in the premise is entailed, one with "not" denied."""

    name = "words"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        self.asked += pairs
        return np.array([self.one(*pair) for pair in pairs])

    @staticmethod
    def one(premise: str, hypothesis: str) -> tuple[float, float, float]:
        there, asked = (set(text.lower().replace(".", "").split()) for text in (premise, hypothesis))
        if asked - {"not"} <= there:
            return (0.05, 0.05, 0.9) if "not" in asked else (0.9, 0.05, 0.05)
        return 0.1, 0.8, 0.1


def test_evidence_counts_and_pieces_that_say_nothing_do_not() -> None:
    found = Consistency(Reads())(
        [SOURCE] * 3, ["Anna was born in Oslo.", "They like fish. Per likes cake.", "They not like fish."]
    )
    assert found.values.tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert found.parts["worst"].tolist() == pytest.approx([0.9, 0.1, 0.1])
    assert found.parts["contradiction"].tolist() == pytest.approx([0.05, 0.1, 0.9])


def test_what_stands_in_two_sentences_is_found_in_a_longer_piece() -> None:
    text = "Anna moved to Bergen."
    alone, together = (Consistency(Reads(), sizes=sizes)([SOURCE], [text]) for sizes in ((1,), (1, 2)))
    assert alone.values[0] == pytest.approx(0.1) and together.values[0] == pytest.approx(0.9)
    assert "1, 2" in together.metric and "words" in together.metric


def test_sentences_are_told_one_by_one() -> None:
    told = Consistency(Reads(), sizes=(1,)).sentences([SOURCE], ["They like fish. Per likes cake."])[0]
    assert [(one.sentence, one.entailment) for one in told] == [("They like fish.", 0.9), ("Per likes cake.", 0.1)]


def test_many_rows_keep_their_places_and_are_told_as_done() -> None:
    done: list[int] = []
    texts = ["They like fish." if number % 3 else "Per likes cake. They like fish." for number in range(150)]
    found = Consistency(Reads(), sizes=(1,))([SOURCE] * 150, texts, progress=done.append)
    assert found.values.tolist() == pytest.approx([0.9 if number % 3 else 0.5 for number in range(150)])
    assert sum(done) == 150


def test_empty_texts_are_noted() -> None:
    found = Consistency(Reads())([SOURCE, "", " "], ["", "They like fish.", "\n"])
    assert found.values.tolist() == pytest.approx([1, 0.1, 1])
    assert found.notes == ["the text is empty", "the source is empty", "the text is empty; the source is empty"]
    assert len(Consistency(Reads())([], [])) == 0
    with pytest.raises(DataError, match="1 sources, 2 texts"):
        Consistency(Reads())(["a"], ["a", "b"])
    with pytest.raises(ConfigError, match="1 sentence or more"):
        Consistency(Reads(), sizes=(0,))
