"""JSON for the wire: the same by orjson and by the standard library, the odd cases too."""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.models import _http_json
from pilotfish.models._http_json import dumps, loads

DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(params=["orjson", "standard"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either way: with orjson, and as it is where it is not installed."""
    if request.param == "standard":
        monkeypatch.setattr(_http_json, "orjson", None)
    return str(request.param)


@given(data=DATA.filter(lambda data: "Infinity" not in json.dumps(data)))
def test_what_goes_out_comes_back(data: Any) -> None:
    # Python's own writes halves of characters as escapes, which orjson refuses: then Python's own is taken.
    assert json.loads(dumps(data)) == data
    assert loads(json.dumps(data)) == data


def test_the_odd_cases(way: str) -> None:
    assert loads(dumps({"half": "\ud800", "big": 2**80})) == {"half": "\ud800", "big": 2**80}
    assert loads(dumps({"proxy": MappingProxyType({"a": [1]})})) == {"proxy": {"a": [1]}}
    assert math.isnan(loads(b'{"a": NaN}')["a"])
    assert loads('{"a": -Infinity}')["a"] == -math.inf
    assert loads("é".join('""').encode()) == "é"


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a": 1}x', b'"\xff"', b"[" * 100_000])
def test_what_is_no_json_is_refused(way: str, raw: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        loads(raw)


def test_what_cannot_be_json_is_refused(way: str) -> None:
    with pytest.raises(TypeError, match="object is no JSON"):
        dumps({"a": object()})
