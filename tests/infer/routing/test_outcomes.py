"""Outcomes from rows: words for truth, holes, and what is no number."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.infer.routing import Outcomes

ROWS = [
    {"q": "one", "a_ok": "True", "b_ok": 0.5, "a_cost": "0.01"},
    {"q": "two", "a_ok": False, "b_ok": "", "a_cost": None},
]
READ = {"text": "q", "quality": {"a": "a_ok", "b": "b_ok"}, "cost": {"a": "a_cost"}}


def test_rows_become_columns_with_holes_where_nothing_was_asked() -> None:
    found = Outcomes.of(ROWS, **READ)  # type: ignore[arg-type]
    assert found.models == ("a", "b")
    np.testing.assert_array_equal(found.quality, [[1.0, 0.5], [0.0, np.nan]])
    np.testing.assert_array_equal(found.cost, [[0.01, np.nan], [np.nan, np.nan]])
    assert list(found.take([1]).texts) == ["two"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"q": None, "a_ok": 1, "b_ok": 1}], "row 1: the column 'q' holds no text"),
        ([ROWS[0], {"q": "x", "a_ok": "well", "b_ok": 1}], "row 2: the column 'a_ok' holds 'well'"),
    ],
)
def test_a_bad_row_is_named(rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Outcomes.of(rows, **READ)  # type: ignore[arg-type]


def test_shapes_names_and_signs_are_checked() -> None:
    one = np.ones((1, 2))
    with pytest.raises(DataError, match="of that shape"):
        Outcomes(["x"], ("a", "b"), one, np.ones((2, 2)))
    with pytest.raises(DataError, match="names of their own"):
        Outcomes(["x"], ("a", "a"), one, one)
    with pytest.raises(DataError, match="0 or more"):
        Outcomes(["x"], ("a", "b"), one, -one)
