"""SelfCheck and meanings as metrics of rows: the ways' own numbers, and what is said where nothing can be checked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.evaluate.sampled import Meanings, SelfCheck
from pilotfish.evaluate.selfcheck import by_ngrams

pytest.importorskip("sentencex")

ANSWER = "Anna was born in Oslo. She likes cake."
SAMPLES = ["Anna was born in Oslo.", "She was born in Oslo and likes fish."]


def test_of_sentences_the_mean_and_the_worst() -> None:
    found = SelfCheck(by_ngrams, "1-grams")([ANSWER, "Per."], [SAMPLES, ["Per.", " "]])
    told = by_ngrams(["Anna was born in Oslo.", "She likes cake."], SAMPLES)
    assert found.values[0] == pytest.approx(told.mean()) and found.parts["worst"][0] == pytest.approx(told.max())
    assert found.values[1] == pytest.approx(by_ngrams(["Per."], ["Per."])[0])  # a blank sample tells nothing
    assert found.metric == "selfcheck (1-grams)" and found.notes == ["", "a sample is empty"]


def test_nothing_to_check_is_said() -> None:
    found = SelfCheck(by_ngrams, "1-grams")(["", ANSWER, " "], [SAMPLES, [], [""]])
    assert found.values.tolist() == [0.0, 0.5, 0.0]
    assert found.notes == ["the answer is empty", "there is no sample", "the answer is empty; there is no sample"]
    with pytest.raises(DataError, match="1 answers, 2 rows"):
        SelfCheck(by_ngrams, "x")([ANSWER], [SAMPLES, SAMPLES])
    with pytest.raises(DataError, match="row 1: 2 sentences need as many"):
        SelfCheck(lambda sentences, samples: np.array([1.0]), "x")([ANSWER], [SAMPLES])


def test_meanings_are_what_entails_each_other() -> None:
    rows = [["Paris", "paris!", "Rome", "Oslo"], ["a", "a"], ["one"], [], "alone"]
    found = Meanings()(rows)
    assert found.values.tolist() == pytest.approx([-(0.5 * math.log(0.5) + 0.5 * math.log(0.25)), 0, 0, 0, 0])
    assert found.parts["meanings"].tolist() == [3, 1, 1, 0, 1]
    assert found.notes == [
        "",
        "",
        "one answer tells no meanings apart",
        "there is no sample",
        "one answer tells no meanings apart",
    ]

    def longer(pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [0.9 if len(one) >= len(other) else 0.4 for one, other in pairs]

    assert Meanings(longer)([["aa", "bb", "c"]]).parts["meanings"][0] == 2
    assert Meanings(longer, least=0.3)([["aa", "bb", "c"]]).parts["meanings"][0] == 1


def test_what_was_not_read_is_told() -> None:
    asked: list[tuple[str, str]] = []

    def left_out(pairs: Sequence[tuple[str, str]]) -> list[int]:
        asked.extend(pairs)
        return [len(one) > 20 for one, _ in pairs]

    found = SelfCheck(by_ngrams, "1-grams", left_out=left_out)([ANSWER], [SAMPLES])
    assert found.notes == ["cut: 2 tokens were not read"] and len(asked) == 4
    assert Meanings(left_out=left_out)([SAMPLES]).notes == ["cut: 2 tokens were not read"]
