"""Mentions: marks, rows, and what is no mention."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.entities import Mention, asked_by, marked
from pilotfish.errors import DataError


def test_marks() -> None:
    text, found = marked("In [[Paris]] lives [[Ann Lee|person]], and [not] [[ ]] here.")
    assert text == "In Paris lives Ann Lee, and [not]   here."
    assert [(one.surface, one.type) for one in found] == [("Paris", ""), ("Ann Lee", "person")]
    assert all(one.text == text for one in found) and found[1].around.startswith("In Paris lives")


@given(st.lists(st.tuples(st.text("ab ", max_size=5), st.text("xy", min_size=1, max_size=4)), max_size=5))
def test_marks_stand_where_they_say(parts: list[tuple[str, str]]) -> None:
    text, found = marked("".join(f"{before}[[{inside}]]" for before, inside in parts))
    assert text == "".join(before + inside for before, inside in parts)
    assert [one.surface for one in found] == [inside for _, inside in parts]


def test_rows() -> None:
    assert Mention.of_row({"text": "a Paris", "start": 2, "end": 7}).surface == "Paris"
    assert Mention.of_row({"text": "a Paris", "mention": "Paris", "type": "place"}) == Mention("a Paris", 2, 7, "place")
    assert Mention.of_row({"mention": "Paris"}) == Mention.alone("Paris")
    assert Mention.alone("Paris").query == "Paris" and Mention("in Paris", 3, 8).query == "Paris. in Paris"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "it needs a 'text'"),
        ({"text": "x"}, "'start' and 'end' are whole numbers"),
        ({"text": "x", "mention": "y"}, "does not hold the mention 'y'"),
        ({"text": "x", "start": 0, "end": 5}, "a mention lies within its text"),
        ({"text": "   ", "start": 0, "end": 2}, "a mention lies within its text"),
        ({"text": 4, "start": 0, "end": 2}, "are texts"),
    ],
)
def test_what_is_no_mention(row: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=f"row 1: .*{said}"):
        asked_by([{"entity": None, **row}], "f")


def test_answers() -> None:
    rows: list[dict[str, object]] = [
        {"mention": "a", "entity": 3},
        {"mention": "b", "entity": None},
        {"mention": "c", "entity": ""},
    ]
    assert [gold for _, gold in asked_by(rows, "f")] == ["3", None, None]
    with pytest.raises(DataError, match="f, row 1: no column 'entity'"):
        asked_by([{"mention": "a"}], "f")
    with pytest.raises(DataError, match="f, row 1: 'entity' is True"):
        asked_by([{"mention": "a", "entity": True}], "f")
