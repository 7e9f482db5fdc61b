"""How good a reply is, by what is known of the row: the right answer, unit tests, or the user's own function."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.answers import ANSWERS, answer_by, code_of

__all__ = ["GRADES", "Grade", "function_at", "grader"]

Grade = Callable[[str, Mapping[str, Any]], float]
GRADES = (*ANSWERS, "contains", "unit-tests")


def grader(how: str, gold: str | None = None, *, seconds: float = 10.0) -> Grade:
    """Return what grades a reply: called with its text and the row, it gives a quality, more is better.

    Args:
        how: "text", "last-line", "last-number" or a pattern with a group: 1 where the answer read out of the reply is
            the one read out of the right answer in the same way, or is the right answer as it stands; "contains": 1
            where the right answer stands in the reply; "unit-tests": 1 where the reply's code and, after it, the tests
            run to their end in the sandbox; "module:function": what that function of (reply, row) says.
        gold: the column of the right answer, or of the tests; a user's function needs none.
        seconds: the most that one row's tests may take.

    Raises:
        ConfigError: no such way, or a column is missing to go by. A row without it is a DataError when it is graded.
    """
    module, colon, _ = how.partition(":")
    if colon and all(part.isidentifier() for part in module.split(".")):
        return _own(how)
    if how not in GRADES:
        answer_by(how)
    if gold is None:
        raise ConfigError(f"grading by {how!r} needs the column that holds the right answer, or the tests")
    if how == "unit-tests":
        from pilotfish.measure.sandbox import run_python

        return lambda said, row: float(run_python(f"{code_of(said)}\n{_gold(row, gold)}\n", seconds=seconds).passed)
    if how == "contains":
        whole = answer_by("text")
        return lambda said, row: float(whole(_gold(row, gold)) in whole(said))
    read, plain = answer_by(how), answer_by("text")

    def same(said: str, row: Mapping[str, Any]) -> float:
        right, found = _gold(row, gold), read(said)
        return float(found != "" and found in (read(right), plain(right)))

    return same


def function_at(path: str) -> Callable[..., Any]:
    """Return the function of the user's at `module:function`.

    Raises:
        ConfigError: there is none.
    """
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"no function {path!r} (module:function): {error}") from None
    if not callable(found):
        raise ConfigError(f"{path!r} is not a function")
    return found  # type: ignore[no-any-return]


def _own(path: str) -> Grade:
    function = function_at(path)

    def grade(said: str, row: Mapping[str, Any]) -> float:
        value = float(function(said, row))
        if not math.isfinite(value):
            raise DataError(f"the grade that {path} gave is {value}")
        return value

    return grade


def _gold(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None or value == "":
        raise DataError(f"no right answer: nothing in {column!r}")
    return value if isinstance(value, str) else str(value)
