"""What is protected, by its kind; and a search that never takes long."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.prompt.compress.protect import KINDS, Kind, Protect

TEXT = (
    "The Broncos beat Marie Curie of France in 1,250,000 cases at 12:30. In New York, the University of Chicago keeps "
    '{"a": [1, 2], "b": "x"} for $5.20 or 12%. Dogs bark at “whole quotations”. Curie won. Call `x = 1` or NASA; I saw '
    "v2.1 and 3rd.\n```python\nif x:\n    return Y\n```\n"
)


def found(kind: Kind, text: str = TEXT) -> list[str]:
    return [text[start:end] for start, end in Protect((kind,))(text)]


def test_numbers() -> None:
    assert found("numbers") == ["1,250,000", "12:30", "1", "2", "$5.20", "12%", "1", "v2.1", "3rd"]


def test_names() -> None:
    names = found("names")
    assert names[:4] == ["Broncos", "Marie Curie of France", "New York", "University of Chicago"]
    assert {"Curie", "NASA"} <= set(names)
    assert not {"The", "Dogs", "In", "I", "Call"} & set(names)


def test_code_json_and_quotations() -> None:
    assert found("code") == ["`x = 1`", "```python\nif x:\n    return Y\n```"]
    assert found("json") == ['{"a": [1, 2], "b": "x"}']
    assert found("quotes") == ['"a"', '"b"', '"x"', "“whole quotations”"]
    assert found("json", "[a](b) {x} [1, 2 {") == []


def test_patterns_of_ones_own() -> None:
    protect = Protect((), (r"ORD-\d+", r"\bkeep\b"))
    text = "keep ORD-17 keeper ORD-x"
    assert [text[a:b] for a, b in protect(text)] == ["keep", "ORD-17"]
    with pytest.raises(ConfigError, match="matches the empty text"):
        Protect((), ("a*",))
    with pytest.raises(ConfigError, match=r"pattern '\('"):
        Protect((), ("(",))
    with pytest.raises(ConfigError, match="with-sentence"):
        Protect(kept="first")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="numbers"):
        Protect(("number",))  # type: ignore[arg-type]


@given(st.text(st.sampled_from('aB1 ."`{}[]:,\n“”$%é日'), max_size=80))
def test_stretches_are_in_order_and_apart(text: str) -> None:
    spans = Protect()(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(one[1] < other[0] for one, other in pairwise(spans))


@pytest.mark.parametrize("text", ["[" * 20_000, '{"a":' * 8000, "a" * 50_000, "`" * 5000, "A " * 20_000, '"' * 9999])
def test_no_text_takes_long(text: str) -> None:
    start = time.perf_counter()
    Protect(KINDS)(text)
    assert time.perf_counter() - start < 2.0
