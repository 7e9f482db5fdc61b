"""Equations of plain arithmetic in a text, computed again."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.measure.arithmetic import equations


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("48 / 2 = 24", [True]),
        ("He makes 9 * 2 = $<<9*2=18>>18 every day", [True]),
        ("5 apples + 3 apples = 9 apples.", [False]),
        ("10/3 = 3.33, 2/3 = 0.66; 2/3 = 0.67", [True, True, True]),
        ("10/3 = 3", [False]),
        ("1,200 - 200 = 1000", [True]),
        ("$3 x 4 = $13", [False]),
        ("20% of 50 = 10", [True]),
        ("50/200 = 25%, 0.25*100 = 25%", [True, True]),
        ("2 + 3 = 5 = 10/2 = 6", [True, True, False]),
        ("7 = 3+4", [True]),
        ("(2 + 3) × 4 − 1 = 19", [True]),
        ("-3 + 5 = 2, 10 - 12 = -2", [True, True]),
        ("5/0 = 0, 1 = 2/0", [False, False]),
        ("3 + 4 = 7\n8 + 1 = 10", [True, False]),
    ],
)
def test_plain_sums_are_checked(text: str, holds: list[bool]) -> None:
    assert [one.holds for one in equations(text)] == holds


@pytest.mark.parametrize(
    "text",
    [
        "x + 5 - 3 = 12",
        "2x = 10, 3K - 4 = 5 + 2",
        "a == 3+4, b != 1+1, c <= 2+2",
        "2^3 + 1 = 9",
        "f(2) + 1 = 5, 9(8) - 5 = 67",
        "8 x 1 1/2 = 12, 3/4 * 2 = 1 1/2",
        "2 kg = 2 * 1000 g",
        "$2.50 - $2.24 = 26 cents",
        "at 6:00+18 hours = 24",
        "1 hour 20 minutes = 60 + 20 minutes",
        "the answer = 42, from 5 to 7 = n",
        "",
    ],
)
def test_what_is_no_plain_sum_is_left_alone(text: str) -> None:
    assert equations(text) == []


def test_an_equation_knows_its_place() -> None:
    text = "So 6 x 7 = 41 eggs."
    (one,) = equations(text)
    assert text[one.start : one.end] == "6 x 7 = 41 eggs"
    assert text[one.at :].startswith("41") and one.written == "41 eggs"
    assert (one.left, one.right, one.holds) == (Fraction(42), Fraction(41), False)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=6), st.data())
def test_sums_are_exact(numbers: list[int], data: st.DataObject) -> None:
    signs = data.draw(st.lists(st.sampled_from("+-*"), min_size=len(numbers) - 1, max_size=len(numbers) - 1))
    side = str(numbers[0]) + "".join(f" {sign} {number}" for sign, number in zip(signs, numbers[1:], strict=True))
    right = eval(side)
    (one,) = equations(f"So {side} = {right:,}.")
    assert one.holds and one.left == right
    (other,) = equations(f"So {side} = {right + 1}.")
    assert not other.holds


@given(st.text(alphabet="12.,/*+-=()%$x ofm\n", max_size=60))
def test_any_text_is_read(text: str) -> None:
    for one in equations(text):
        assert 0 <= one.start < one.end <= len(text)
        assert "=" in text[one.start : one.end]
        assert not one.holds or one.left is not None
