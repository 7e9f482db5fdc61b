"""Yes against no: the shares of both, whichever kind of model says them; P(True) shows what was drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.likelihood import Continues
from pilotfish.evaluate.yes_no import DIMENSIONS, P_TRUE, ReadsPairs, YesNo, p_true
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader


class Chooser:
    name = "chooser"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def choices(
        self, contexts: Sequence[str], choices: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        self.asked += contexts
        return np.array([[-1.0 if "good" in text else -3.0, -2.0] for text in contexts])


def test_it_is_the_share_of_yes() -> None:
    model = Chooser()
    found = YesNo(model, "Is {text} fine?")(["good", "bad {text}", "good", " "])
    yes, no = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))
    assert found.values.tolist() == pytest.approx([yes, no, yes, no])
    assert model.asked == ["Is good fine?", "Is bad {text} fine?", "Is   fine?"]  # equal rows once, braces as text
    assert found.notes == ["", "", "", "text is empty"] and found.metric == "yes or no (chooser)"


def test_dimensions_are_questions_over_columns() -> None:
    for name, question in DIMENSIONS.items():
        metric = YesNo(Chooser(), name)
        assert metric.name == f"{name} (chooser)" and metric.question == question
        assert metric.columns == (("text",) if name == "fluency" else ("source", "text"))
    model = Chooser()
    YesNo(model, "consistency")(["a source"], ["a claim"])
    assert "a source" in model.asked[0] and "a claim" in model.asked[0]


def test_a_local_model_and_a_reader_of_pairs_say_the_same(tiny_lm: LocalModel) -> None:
    rows = ["the cat sat on the mat", "where is my card"]
    found = YesNo(tiny_lm, "{text}\nfine?")(rows).values
    logs = [tiny_lm.score([(f"{row}\nfine?", word) for word in (" Yes", " No")]) for row in rows]
    wanted = [1 / (1 + math.exp(no.total - yes.total)) for yes, no in logs]
    assert found.tolist() == pytest.approx(wanted, abs=1e-5)
    pairs = ReadsPairs(Continues(Reader(tiny_lm.weights), "{text}"))
    told = YesNo(pairs, "{text}\nfine?")(rows)
    assert told.values.shape == (2,) and ((told.values > 0) & (told.values < 1)).all()
    by_hand = pairs.likelihoods.of([(f"{rows[0]}\nfine?", word) for word in ("Yes", "No")])
    gap = by_hand[1].logprobs.sum() - by_hand[0].logprobs.sum()
    assert told.values[0] == pytest.approx(1 / (1 + math.exp(gap)), abs=1e-5)


def test_p_true_shows_question_samples_and_answer() -> None:
    model: Any = Chooser()
    found = p_true(model, ["q1", "q2"], ["good", "bad"], [["s1", "s2"], []])
    assert found.tolist() == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))])
    assert model.asked[0] == P_TRUE.replace("{question}", "q1").replace("{samples}", "s1\ns2").replace(
        "{answer}", "good"
    )
    assert "(none)" in model.asked[1]
    assert p_true(model, [], []).shape == (0,)


def test_what_makes_no_question_is_refused() -> None:
    with pytest.raises(ConfigError, match="no place"):
        YesNo(Chooser(), "Is it fine?")
    with pytest.raises(ConfigError, match="both"):
        YesNo(Chooser(), "{text}?", answers=(" yes", "yes"))
    with pytest.raises(DataError, match="source, text"):
        YesNo(Chooser(), "consistency")(["a"])
    with pytest.raises(DataError, match="2 answers"):
        p_true(Chooser(), ["q"], ["a", "b"])


def test_of_what_is_too_long_the_middle_is_left_out(tiny_lm: LocalModel) -> None:
    asked: list[str] = []

    class Spy:
        name, max_length, count = "spy", tiny_lm.max_length, tiny_lm.count

        def choices(self, contexts: Sequence[str], choices: Sequence[str], **how: Any) -> np.ndarray:
            asked.extend(contexts)
            return tiny_lm.choices(contexts, choices)

    long, other = "first " + "the cat sat " * 400 + "last", "begin " + "a dog " * 600 + "end"
    found = YesNo(Spy(), "{source} | {text} fine?")([long, "short", "short"], ["short", other, "\x00😀" * 900])
    both = YesNo(Spy(), "{source} | {text} fine?")([long], [other])
    assert np.isfinite(found.values).all() and len(both) == 1
    assert asked[0].startswith("first ") and " ... " in asked[0] and "last | short fine?" in asked[0]
    assert asked[1].startswith("short | begin ") and asked[1].endswith("end fine?")
    assert all(text in asked[3] for text in ("first", "last", "begin", "end"))
    most = tiny_lm.max_length
    assert all(most - 60 < tiny_lm.count(text) < most for text in (asked[0], asked[1], asked[3]))
    assert [note.startswith("cut: ") for note in found.notes] == [True, True, True] and both.notes[0].count(
        "cut: "
    ) == 2
    assert "characters of source" in found.notes[0] and "characters of text" in found.notes[1]


def test_p_true_with_more_samples_than_a_model_takes_is_cut_and_not_an_error(tiny_lm: LocalModel) -> None:
    found = p_true(tiny_lm, ["the cat"], ["a mat"], [["the dog sat on the mat " * 40] * 20])
    assert 0 < found[0] < 1
