"""Loops within a sentence and over sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.measure.repetition import rep, words
from pilotfish.repair import Repaired
from pilotfish.repair.plugins import Repetition
from tests.fakes import ScriptedModel


def mended(text: str, **how: int) -> str:
    return ask(Repaired(ScriptedModel(text), (Repetition(**how),)), "q").text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("It is very very very very good.", "It is very good."),
        ("I think so and I think so and I think so and more", "I think so and more"),
        ("The sky is blue today. The sky is blue today. the sky is blue today! Good.", "The sky is blue today. Good."),
        ("One fine day it rained.\n\nOne fine day it rained.\n\nEnd.", "One fine day it rained.\n\nEnd."),
        ("It loops and loops, it loops and loops, it loops and loops,", "It loops and loops,"),
    ],
)
def test_loops_are_cut(text: str, left: str) -> None:
    assert mended(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "It is very very good.",  # twice is a manner of speaking
        "Yes. Yes. Yes.",  # short ones may be said again
        "Item 1 is done. Item 2 is done. Item 3 is done.",
        "5 5 5 5 5",  # numbers are protected
        "```\na a a a a\na a a a a\n```",
        "Write `x x x x` there.",
        "no loop here at all",
    ],
)
def test_what_is_no_loop_stays(text: str) -> None:
    assert mended(text) == text


def test_settings_count() -> None:
    assert mended("so so good", times=2) == "so good"
    said = "We all like it. We all like it. We all like it."
    assert mended(said, sentences=2) == "We all like it. We all like it."
    assert mended("Yes it is. Yes it is.", words=3) == "Yes it is."
    assert mended("a b c a b c a b c", longest=2) == "a b c a b c a b c"
    for wrong in ({"times": 1}, {"longest": 0}, {"words": 0}, {"sentences": 0}):
        with pytest.raises(ConfigError, match="repetition"):
            Repetition(**wrong)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=40))
def test_no_loop_is_left_and_a_second_time_changes_nothing(said: list[str]) -> None:
    once = mended(" ".join(said), times=3, longest=4)
    left = words(once)
    for run in range(1, 5):
        for at in range(len(left) - 3 * run + 1):
            # What a cut brings together may be a loop anew; only what was there is cut.
            if left[at : at + run] == left[at + run : at + 2 * run] == left[at + 2 * run : at + 3 * run]:
                assert mended(once, times=3, longest=4) != once
    assert set(left) == set(said)


def test_a_degenerate_answer_repeats_less() -> None:
    text = "The answer is of the form of the form of the form of the form of the form. It is what it is now. " * 5
    assert rep(words(text)) > 0.8
    assert rep(words(mended(text))) == 0
