"""What a judge's reply holds: grades, verdicts, the last object, shares; and prompts filled in once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.measure.answers import last_object
from pilotfish.measure.judging import filled_in, grade_in, shares_of, verdict_in

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)


@given(
    some=st.lists(OBJECTS, min_size=1, max_size=3), between=st.text(st.characters(exclude_characters='{}"'), max_size=9)
)
def test_the_last_object_is_found_among_words(some: list[dict[str, object]], between: str) -> None:
    said = between.join(["", *(json.dumps(one) for one in some), ""])
    assert last_object(said) == some[-1]


@pytest.mark.parametrize("said", ["", "7", "[7]", "{", "{7}", '{"a": ', "{" * 5000, '{"a":' * 5000])
def test_where_there_is_none(said: str) -> None:
    assert last_object(said) is None


def test_a_broken_object_after_a_whole_one_is_passed_over() -> None:
    assert last_object('{"a": 1} and {"b": 2') == {"a": 1}
    assert last_object('{ not this, {"a": {"b": 2}}') == {"a": {"b": 2}}


def test_grades_and_verdicts() -> None:
    assert grade_in("It has 3 faults.\nGrade: 10", 1, 10) == 10
    assert grade_in("It has 3 faults of 10.", 1, 10) is None
    assert grade_in("Grade: 11", 1, 10) is None
    assert verdict_in("A says more. Better: tie") == 0
    assert verdict_in("A is an answer") is None


@given(rows=st.lists(st.lists(st.floats(-600, 0), min_size=3, max_size=3), min_size=1, max_size=4))
def test_shares_sum_to_one(rows: list[list[float]]) -> None:
    found = shares_of(rows)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    assert (np.diff(found[:, np.argsort(rows[0])][0]) >= 0).all()


def test_a_place_in_a_value_is_not_filled_in() -> None:
    assert filled_in("{a} {b} {c}", a="{b}", b="{a}{") == "{b} {a}{ {c}"
