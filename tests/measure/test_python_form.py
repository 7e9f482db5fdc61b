"""Code that differs in names and layout alone has one form; code that does something else has another."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.measure._python_form import python_form
from pilotfish.measure.answers import answer_by

CODE = '''
def total(values: list[int], start=0) -> int:
    """Add them."""
    found: int = start
    for value in values:  # each
        found += value
    return found
'''
SAME = """
def total(xs, begin=0):
    s = begin
    for x in xs: s += x
    return s
"""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (CODE, SAME, True),
        (CODE, SAME.replace("+=", "-="), False),
        (CODE, SAME.replace("begin=0", "begin=1"), False),
        (CODE, SAME.replace("total", "summed"), False),  # its name is how it is called
        ("def f(a, b): return a - b", "def f(b, a): return b - a", True),
        ("def f(a, b): return a - b", "def f(a, b): return b - a", False),
        ("def f(x): return len(x)", "def f(x): return max(x)", False),
        ("def f(x): return x.a", "def f(x): return x.b", False),
        ("def f(x):\n    y: int\n    return x", "def f(z): return z", True),
        ("async def f(x):\n    'Say.'\n    return await x", "async def f(y): return await y", True),
        ("async def f(x): return x", "def f(x): return x", False),
        ("g = lambda x: x", "h = lambda y: y", True),
    ],
)
def test_forms(one: str, other: str, same: bool) -> None:
    assert python_form(one)
    assert (python_form(one) == python_form(other)) is same


@pytest.mark.parametrize("code", ["def f(:", "a\0b", "(" * 5000, "-" * 100_000 + "1"])
def test_what_does_not_parse_has_none(code: str) -> None:
    assert python_form(code) == ""


def test_it_reads_the_code_of_a_reply() -> None:
    read = answer_by("python")
    assert read(f"Here it is:\n```python\n{CODE}```\nIt adds.") == read(f"```\n{SAME}```") != ""
    assert read("I cannot do this.") == ""


@given(st.lists(st.sampled_from(["a = 1", "b = a", "print(a)", "for c in b: pass", "def f(a): return a"]), min_size=1))
def test_the_form_of_what_is_laid_out_anew_is_equal(lines: list[str]) -> None:
    code = "\n".join(lines)
    assert python_form(code) == python_form(ast.unparse(ast.parse(code)) + "\n\n# done\n")
