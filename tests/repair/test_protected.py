"""Numbers and code stay as they are, whatever a plug-in would do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, ModelError
from pilotfish.repair.protected import allowed, check_touch, code, numbers, protected
from pilotfish.repair.spans import Edit, applied

PIECES = st.sampled_from(
    [
        "12",
        "3.5",
        "-4",
        "1,000",
        "a",
        "the ",
        " ",
        "`x = 1`",
        "\n```\ny = 2\n```\n",
        "1e5",
        "`",
        "```",
        "\n",
        ".",
        "-",
        "7",
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


def pieces(text: str, places: list[tuple[int, int]]) -> list[str]:
    return [text[a:b] for a, b in places]


@given(TEXTS, st.data())
def test_no_edit_changes_a_number_or_code(text: str, data: st.DataObject) -> None:
    edits: list[Edit] = []
    at = 0
    while at <= len(text) and data.draw(st.booleans()):
        start = data.draw(st.integers(at, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 6)))
        edits.append(Edit(start, end, text[start:end], data.draw(PIECES | st.just(""))))
        at = end
    touch = data.draw(st.sampled_from([(), ("numbers",), ("code",), ("numbers", "code")]))
    found, kept, refused = allowed(text, edits, touch)
    assert sorted([*kept, *refused], key=repr) == sorted(edits, key=repr)
    assert found == applied(text, kept)
    if "numbers" not in touch:
        assert pieces(found, numbers(found)) == pieces(text, numbers(text))
    if "code" not in touch:
        assert pieces(found, code(found)) == pieces(text, code(text))
    if len(touch) == 2:
        assert not refused


@pytest.mark.parametrize(
    ("edit", "stays"),
    [
        (Edit(0, 3, "on ", ""), False),
        (Edit(3, 4, "1", "2"), True),
        (Edit(5, 6, " ", ""), True),  # 12 and 7 would be one number
        (Edit(8, 15, "`x = 1`", "x = 1"), True),
        (Edit(8, 15, "`x = 1`", "`x = 1` [unverified]"), False),
        (Edit(3, 5, "12", "12 [unverified]"), False),
        (Edit(15, 15, "", " and 3"), True),
    ],
)
def test_what_may_be_edited(edit: Edit, stays: bool) -> None:
    text = "on 12 7 `x = 1`"
    found, kept, refused = allowed(text, [edit])
    assert (found == text) is stays
    assert (kept, refused) == (([], [edit]) if stays else ([edit], []))


def test_who_may_touch_them_does() -> None:
    text = "on 12 `x = 1`"
    assert allowed(text, [Edit(3, 5, "12", "13")], ["numbers"])[0] == "on 13 `x = 1`"
    assert allowed(text, [Edit(11, 12, "1", "2")], ["numbers"])[0] == text
    assert allowed(text, [Edit(11, 12, "1", "2")], ["numbers", "code"])[0] == "on 12 `x = 2`"
    assert protected(text, ["numbers"]) == [(6, 13)]
    with pytest.raises(ConfigError, match="numbers, code"):
        check_touch(["digits"])


def test_code_is_fences_and_what_is_between_backticks() -> None:
    text = "a `b` c\n```py\nd\n```\n``e ` f`` g\n~~~\nopen `h`"
    assert pieces(text, code(text)) == ["`b`", "```py\nd\n```", "``e ` f``", "~~~\nopen `h`"]
    assert pieces("-3 of 1,234.5 at 3:05, 2e-3 5kg", numbers("-3 of 1,234.5 at 3:05, 2e-3 5kg")) == [
        "-3", "1,234.5", "3:05", "2e-3", "5"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "edits",
    [[Edit(0, 2, "ab", ""), Edit(1, 3, "bc", "")], [Edit(0, 9, "abc", "")], [Edit(0, 1, "x", "")]],
    ids=["overlap", "outside", "another text"],
)
def test_edits_of_another_text_are_told(edits: list[Edit]) -> None:
    with pytest.raises(ModelError, match="an edit of characters"):
        applied("abc", edits)
