"""Answers that should be JSON: mended where nothing is lost, left where not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.model import Reply, Request
from pilotfish.repair import Repaired
from pilotfish.repair.plugins import JsonForm
from tests.fakes import ScriptedModel

SCHEMA = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}
JSON: dict[str, Any] = {"type": "json_object"}


def reply(text: str, plugin: JsonForm | None = None, **asked: Any) -> Reply:
    return ask(Repaired(ScriptedModel(text), (plugin or JsonForm(always=True),)), Request.of("q", **asked))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"a": 1,}', '{"a": 1}'),
        ("{'a': 'it'}", '{"a": "it"}'),
        ('```json\n{"a":  1}\n```', '{"a":  1}'),
        ('```\n{"a": [1, 2\n```', '{"a": [1, 2]}'),
        ('{"a": [1, {"b": "c', '{"a": [1, {"b": "c"}]}'),
        ("{a: 1}", '{"a": 1}'),
        ('{"a": 1 // one\n}', '{"a": 1}'),
        ('{"a": True, "b": None}', '{"a": true, "b": null}'),
        ('{"price": 12.50, "n": 1e3,}', '{"price": 12.50, "n": 1e3}'),
        (" [1, 2,, 3]\n", "[1, 2, 3]"),
        ('{"a": NaN}', '{"a": "NaN"}'),
        ('{"é": "日本",}', '{"é": "日本"}'),
    ],
)
def test_what_is_not_quite_json_becomes_some(text: str, left: str) -> None:
    assert reply(text).text == left


@pytest.mark.parametrize(
    "text",
    [
        '{"a":  1}',
        "[]",
        '"a word"',
        "12",
        "Sorry, I cannot.",
        "",
        "[" * 100_000,
        '{"a": 1_000}',
        "[-01]",
        "[1.e2]",
    ],
    ids=lambda text: text[:12],
)
def test_what_is_json_or_cannot_become_it_without_loss_stays(text: str) -> None:
    assert reply(text).text == text


def test_it_works_only_where_json_was_asked_for() -> None:
    broken = '{"a": 1,}'
    assert reply(broken, JsonForm()).text == broken
    assert reply(broken, JsonForm(), response_format=JSON).text == '{"a": 1}'
    assert reply(broken, JsonForm(SCHEMA)).text == '{"a": 1}'


def test_a_schema_has_to_fit() -> None:
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    assert reply('{"a": 1,}', JsonForm(), response_format=asked).text == '{"a": 1}'
    for text in ('{"b": 1,}', '{"b": 1}'):
        assert reply(text, JsonForm(), response_format=asked).text == text
    (span,) = JsonForm(SCHEMA).detect('{"a": "x"}', _context())
    assert span.why == "does not fit the schema at $.a: type"
    with pytest.raises(ConfigError, match="not a JSON schema"):
        JsonForm({"type": "objekt"})


def _context() -> Any:
    from pilotfish.repair import Context

    return Context()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc é\"'\\\n{}[],:", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.integers(0, 60), st.sampled_from(["", "```json\n{}\n```", "cut"]))
def test_whatever_comes_the_answer_is_the_same_or_strict_json(value: Any, cut: int, fence: str) -> None:
    whole = json.dumps(value, ensure_ascii=False)
    assert reply(whole).text == whole
    text = whole[:cut] if fence == "cut" else fence.replace("{}", whole) if fence else whole + ","
    found = reply(text).text
    if found != text:
        json.loads(found)
    if fence.startswith("```"):
        assert found == whole.strip() or isinstance(value, str)
