"""Answers in pieces: sentences, lines and fences, cut alike however the text comes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.repair.units import Unit, Units, units_of

PARTS = st.sampled_from(
    ["Dr. ", "Hello", " world", ". ", "? ", "!\n", "\n", "\n\n", "```", "```py\n", "~~~\n", "`a. B`", "3.5 ", "1. ",
     "- ", "e.g. ", '"', ")", "今日は。", " ", "x", "U.S. ", "…", "``", "\t", "**Bold.** ", "\r\n", "A"]
)  # fmt: skip
TEXTS = st.lists(PARTS, max_size=25).map("".join)


def fed(pieces: list[str], **how: object) -> list[Unit]:
    units = Units(**how)  # type: ignore[arg-type]
    return [unit for piece in pieces for unit in units.feed(piece)] + list(units.end())


@given(TEXTS, st.lists(st.integers(1, 7), min_size=1, max_size=6), st.booleans(), st.sampled_from([5, 12, 2000]))
def test_the_cuts_are_the_same_however_it_comes_in_and_nothing_is_lost(
    text: str, sizes: list[int], fences: bool, most: int
) -> None:
    pieces: list[str] = []
    at = 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    whole = fed([text], fences=fences, most=most)
    assert fed(pieces, fences=fences, most=most) == whole
    assert fed(list(text), fences=fences, most=most) == whole
    assert "".join(unit.lead + unit.text for unit in whole) == text
    assert all(unit.text or unit is whole[-1] for unit in whole)
    assert all(unit.text == unit.text.strip() or unit.code for unit in whole)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Dr. Smith left. He took 3.5 l of milk. Why?", ["Dr. Smith left.", "He took 3.5 l of milk.", "Why?"]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("Items:\n1. First one.\n2. Second. More.", ["Items:", "1. First one.", "2. Second.", "More."]),
        ("Call `a. B` now. Then stop.", ["Call `a. B` now.", "Then stop."]),
        ("今日は。明日は。", ["今日は。", "明日は。"]),
        ("One line\nanother line", ["One line", "another line"]),
        ("See the code:\n```py\nx = 1. \ny = 2\n```\nDone.", ["See the code:", "```py\nx = 1. \ny = 2\n```", "Done."]),
        ("````\n```\ninner\n```\n````\nend", ["````\n```\ninner\n```\n````", "end"]),
        ("~~~\nnever closed. Really.", ["~~~\nnever closed. Really."]),
    ],
)
def test_where_sentences_end(text: str, said: list[str]) -> None:
    assert [unit.text for unit in units_of(text)] == said


def test_a_sentence_is_given_with_the_first_letter_of_the_next() -> None:
    units = Units()
    assert list(units.feed("It rains. ")) == []
    assert list(units.feed("I")) == [Unit("", "It rains.")]
    assert list(units.feed(" stay")) == []
    assert list(units.end()) == [Unit(" ", "I stay")]


def test_a_fence_is_held_or_passes_line_by_line() -> None:
    text = "```\na. B\n\n  c\n```\nText."
    assert [unit for unit in fed([text]) if unit.code] == [Unit("", "```\na. B\n\n  c\n```", True)]
    lines = Units(fences=False)
    assert [unit.text for unit in lines.feed("```\na. B\n")] == ["```", "a. B"]
    rest = [*lines.feed("\n  c\n```\nText."), *lines.end()]
    assert rest == [Unit("\n\n  ", "c", True), Unit("\n", "```", True), Unit("\n", "Text.")]


def test_what_never_ends_is_cut_at_a_blank() -> None:
    found = units_of("word " * 100, most=52)
    assert [len(unit.text) for unit in found[:3]] == [49, 49, 49]
    assert units_of("x" * 130, most=52) == [Unit("", "x" * 52), Unit("", "x" * 52), Unit("", "x" * 26)]
