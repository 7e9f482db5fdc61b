"""Units: they cover a text but for what keeps them apart, and what stands in for a dropped stretch is its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.prompt.compress.units import glue, per_unit, sentence_numbers, units_of

TEXTS = st.text(st.sampled_from("ab1 \n\t.,'(é日本🙂\u0301\u200d-/\r"), max_size=60) | st.text(max_size=40)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("don't pay $3.14, ok", ["don't", "pay", "$", "3.14", ",", "ok"]),
        ("a/b x@y.org (z)", ["a/b", "x@y.org", "(", "z", ")"]),
        ("日本語 text", ["日", "本", "語", "text"]),
        ("हिन्दी ok", ["हिन्दी", "ok"]),
        ("a   b\n    c", ["a", "  ", "b", "    ", "c"]),
        ("one\n\ntwo  \n three", ["one", "two", "  ", " ", "three"]),
        ("👩\u200d🚀 go", ["👩\u200d🚀", "go"]),
        ("", []),
        (" ", []),
    ],
)
def test_the_units_of_a_text(text: str, units: list[str]) -> None:
    assert [text[start:end] for start, end in units_of(text)] == units


@given(TEXTS)
def test_units_are_apart_and_leave_only_what_separates(text: str) -> None:
    at = 0
    for start, end in units_of(text):
        assert at <= start < end
        assert text[at:start] in ("", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r\n\n", "\n\r\n") or (
            start - at == 1 and text[at].isspace()
        )
        at = end
    assert text[at:].isspace() or at == len(text)


@given(TEXTS, st.data())
def test_a_dropped_stretch_leaves_something_of_its_own(text: str, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(text)))
    start = data.draw(st.integers(end, len(text)))
    first, last = glue(text, end, start)
    assert end <= first <= last <= start
    dropped = text[end:start]
    if any(letter.isspace() for letter in dropped):
        assert text[first:last].isspace()
        assert ("\n" in dropped) == ("\n" in text[first:last])


@pytest.mark.parametrize(
    ("text", "end", "start", "left"),
    [
        ("one two three", 3, 8, " "),
        ("one two\n\nthree", 3, 9, "\n\n"),
        ("one. two\nthree", 4, 9, "\n"),
        ("foo(bar", 3, 4, "("),
        ("(a)b", 1, 3, ""),
        ("日x本", 1, 2, ""),
    ],
)
def test_what_keeps_two_units_apart(text: str, end: int, start: int, left: str) -> None:
    first, last = glue(text, end, start)
    assert text[first:last] == left


def test_a_unit_is_worth_the_mean_of_its_tokens() -> None:
    units = [(0, 3), (4, 10), (11, 12)]
    # " lon" has a part of two characters in the second unit; the last unit has no token.
    values = per_unit(units, [(0, 3), (4, 6), (6, 10), (10, 10)], np.array([1.0, 2.0, 5.0, 100.0]), empty=-1.0)
    assert values.tolist() == [1.0, (2 * 2.0 + 4 * 5.0) / 6, -1.0]


def test_sentences_end_with_their_marks_and_lines() -> None:
    text = "It is 3.5 now. Go! a.b is one\nline two\n\nthree。四"
    units = units_of(text)
    words = [text[start:end] for start, end in units]
    numbers = sentence_numbers(text, units).tolist()
    firsts = [words[numbers.index(number)] for number in range(max(numbers) + 1)]
    assert firsts == ["It", "Go", "a.b", "line", "three"]
    assert sentence_numbers("", []).tolist() == []
