"""Rule lists: the first rule that holds answers, as a loop over rows and rules says; kept as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError, ModelError
from pilotfish.models.rules import Condition, Rule, RuleList

LIST = RuleList(
    (
        Rule((Condition(0, "above", 2.0), Condition(1, "is", 1.0)), (0.1, 0.9), 7, 3, 2 / 3),
        Rule((Condition(2, "missing"),), (0.7, 0.3), 5),
        Rule((Condition(0, "at most", 0.5),), (1.0, 0.0), 2),
        Rule((), (0.5, 0.5), 11),
    ),
    3,
    False,
)
VALUES = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]), st.just(float("nan")))


def by_hand(row: list[float]) -> int:
    a, b, c = row
    if a > 2 and b == 1:
        return 0
    if c != c:
        return 1
    return 2 if a <= 0.5 else 3


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=30))
def test_the_first_that_holds_answers(rows: list[tuple[float, float, float]]) -> None:
    x = np.array(rows)
    wanted = [by_hand(list(row)) for row in rows]
    assert LIST.which(x).tolist() == wanted
    np.testing.assert_array_equal(LIST.predict(x), [LIST.rules[place].answer for place in wanted])


def test_it_is_kept_and_read(tmp_path: Path) -> None:
    LIST.save(tmp_path)
    assert RuleList.load(tmp_path) == LIST
    assert LIST.in_words(["age", "plan", "debt"], {"plan": {"basic": 0, "team": 1}}) == [
        "age > 2 and plan is team",
        "debt is missing",
        "age ≤ 0.5",
        "otherwise",
    ]
    with pytest.raises(DataError, match="3 columns"):
        LIST.predict(np.zeros((2, 4)))


@pytest.mark.parametrize(
    "change",
    [
        {"rules": []},
        {"columns": 2},
        {"number": True},
        {"format": 9},
        {"rules": [{"conditions": [], "answer": [0.9, 0.9], "rows": 1, "checked": 0, "held": None}]},
    ],
)
def test_a_damaged_one_is_told(tmp_path: Path, change: dict[str, object]) -> None:
    LIST.save(tmp_path)
    told = json.loads((tmp_path / "rules.json").read_text(encoding="utf-8"))
    (tmp_path / "rules.json").write_text(json.dumps(told | change), encoding="utf-8")
    with pytest.raises(ModelError):
        RuleList.load(tmp_path)
