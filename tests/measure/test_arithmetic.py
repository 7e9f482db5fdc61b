"""Sums in prose, computed again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.measure.arithmetic import sums


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("48 / 2 = 24", [True]),
        ("He makes 9 * 2 = $<<9*2=18>>18 every day", [True]),
        ("5 apples + 3 apples = 9 apples.", [False]),
        ("10/3 = 3.33, 2/3 = 0.66; 2/3 = 0.67", [True, True, True]),
        ("1,200 - 200 = 1000", [True]),
        ("$3 x 4 = $13", [False]),
        ("50/200 = 25%", [True]),
        ("(2 + 3) × 4 − 1 = 19", [True]),
        ("10 - 12 = -2", [True]),
        ("3 + 4 = 7\n8 + 1 = 10", [True, False]),
    ],
)
def test_plain_sums_are_checked(text: str, right: list[bool]) -> None:
    assert [one.is_right for one in sums(text)] == right


@pytest.mark.parametrize(
    "text",
    [
        "x + 5 - 3 = 12",
        "2x = 10, 3K - 4 = 5 + 2",
        "a == 3+4, b != 1+1, c <= 2+2",
        "2^3 + 1 = 9",
        "8 x 1 1/2 = 12, 3/4 * 2 = 1 1/2",
        "600 x 30 = 18 000, 4 - 1 = 6x",
        "1 hour and 20 minutes = 80 minutes",
        "5/0 = 0",
        "the answer = 42, from 5 to 7 = n",
        "",
    ],
)
def test_what_is_no_plain_sum_is_left_alone(text: str) -> None:
    assert list(sums(text)) == []


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=6), st.data())
def test_sums_are_exact(numbers: list[int], data: st.DataObject) -> None:
    signs = data.draw(st.lists(st.sampled_from("+-"), min_size=len(numbers) - 1, max_size=len(numbers) - 1))
    side = str(numbers[0]) + "".join(f" {sign} {number}" for sign, number in zip(signs, numbers[1:], strict=True))
    right = eval(side)
    (one,) = sums(f"So {side} = {right:,}.")
    assert one.is_right and one.value == right
    (other,) = sums(f"So {side} = {right + 1}.")
    assert not other.is_right


@given(st.text(alphabet="12.,/*+-=()%$x ofm\n", max_size=60))
def test_any_text_is_read(text: str) -> None:
    for one in sums(text):
        assert 0 <= one.start < one.end <= len(text)
        assert text[one.result.start : one.result.end] == one.result.text
