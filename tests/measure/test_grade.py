"""Grades: each way by what is right and what only looks right."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.answers import code_of
from pilotfish.measure.grade import grader

CODE = "Here it is:\n\n```python\ndef twice(x):\n    return 2 * x\n```\nThat was easy: `twice(2)`."


@pytest.mark.parametrize(
    ("how", "said", "right", "grade"),
    [
        ("text", " Paris. ", "paris", 1),
        ("text", "Paris, France", "Paris", 0),
        ("contains", "It is Paris, France.", "paris", 1),
        ("contains", "Lyon", "paris", 0),
        ("last-line", "Hm.\nB\n", "b", 1),
        ("last-number", "So 6 * 7 = 42.", "#### 42.0", 1),
        ("last-number", "I cannot tell", "I do not know", 0),
        ("last-number", "3.1415926535", "3.1415926536", 0),
        (r"answer is (\w)", "The answer is C", "C", 1),
        (r"answer is (\w)", "It must be C", "C", 0),
        ("unit-tests", CODE, "assert twice(4) == 8", 1),
        ("unit-tests", CODE, "assert twice(4) == 9", 0),
    ],
)
def test_each_way(how: str, said: str, right: str, grade: float) -> None:
    assert grader(how, "gold")(said, {"gold": right}) == grade


def test_numbers_in_the_rows_are_right_answers_too() -> None:
    assert grader("last-number", "gold")("It is 7.", {"gold": 7}) == 1


def test_code_is_what_stands_in_the_first_fence() -> None:
    assert code_of(CODE) == "def twice(x):\n    return 2 * x\n"
    assert code_of("x = 1") == "x = 1"
    assert code_of("```py\nx = 1\ny = ") == "x = 1\ny = "  # cut off
    assert code_of("```\na\n```\n```\nb\n```") == "a\n"


def test_the_user_s_own_function(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("my_grades")
    module.length = lambda said, row: len(said) / row["most"]
    module.nothing = lambda said, row: float("nan")
    monkeypatch.setitem(sys.modules, "my_grades", module)
    assert grader("my_grades:length")("four", {"most": 8}) == 0.5
    with pytest.raises(DataError, match="is nan"):
        grader("my_grades:nothing")("", {})
    with pytest.raises(ConfigError, match="no function 'my_grades:none'"):
        grader("my_grades:none")


def test_what_is_missing_is_told() -> None:
    with pytest.raises(ConfigError, match="did you mean 'last-number'"):
        grader("last-numbr", "gold")
    with pytest.raises(ConfigError, match="needs the column"):
        grader("text")
    with pytest.raises(DataError, match="nothing in 'gold'"):
        grader("text", "gold")("x", {"gold": None})
