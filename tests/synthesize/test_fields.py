"""The columns that a model writes: schemas of every kind, and answers read, whole, cut or wrong."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pilotfish.errors import ConfigError, DataError
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Unread

PLAIN = Fields({"text": "a message", "mood": ["glad", "sad"]})
GOOD = {"text": "hello", "mood": "sad"}


def reasons(found: Any) -> list[str]:
    return [one.reason for one in found if isinstance(one, Unread)]


def test_words_lists_schemas_and_models_make_a_schema() -> None:
    class Row(BaseModel):
        text: str
        mood: Literal["glad", "sad"]

    for fields in (PLAIN, Fields(Row), Fields(Row.model_json_schema())):
        assert list(fields.read(json.dumps(GOOD))) == [GOOD]
        assert reasons(fields.read('{"text": "a", "mood": "angry"}'))
    assert PLAIN.meanings == {"text": "a message", "mood": 'one of "glad", "sad"'}
    assert list(PLAIN.without("mood").read('{"text": "a"}')) == [{"text": "a"}]
    mistakes: list[Any] = [{}, {"a": 3}, {"a": []}, {"a": {"type": "nonsense"}}, 7]
    for wrong in mistakes:
        with pytest.raises(ConfigError, match="fields"):
            Fields(wrong)


def test_several_rows_are_asked_for_by_one_schema() -> None:
    schema = PLAIN.response_format(3)["json_schema"]["schema"]
    assert schema["properties"]["rows"]["minItems"] == schema["properties"]["rows"]["maxItems"] == 3
    assert PLAIN.response_format()["json_schema"]["schema"] == PLAIN.schema

    class Inner(BaseModel):
        a: int

    class Outer(BaseModel):
        inner: Inner

    nested = Fields(Outer)
    schema = nested.response_format(2)["json_schema"]["schema"]
    import jsonschema

    jsonschema.validate({"rows": [{"inner": {"a": 1}}] * 2}, schema)  # references resolve at the new root
    first, second = nested.read('{"rows": [{"inner": {"a": 1}}, {"inner": {"a": "x"}}]}', 2)
    assert first == {"inner": {"a": 1}} and isinstance(second, Unread)


def test_fences_words_around_and_bare_lists_are_read() -> None:
    one = json.dumps(GOOD)
    for text in (one, f"```json\n{one}\n```", f"  {one}\n", f"Here it is: {one} I hope it helps."):
        assert list(PLAIN.read(text)) == [GOOD], text
    for text in (f'{{"rows": [{one}, {one}]}}', f"[{one}, {one}]", f"Sure:\n[{one},\n{one}]\nDone."):
        assert list(PLAIN.read(text, 2)) == [GOOD, GOOD], text


def test_of_a_cut_answer_the_whole_rows_are_kept_and_the_rest_is_told() -> None:
    one = json.dumps(GOOD)
    found = list(PLAIN.read(f'{{"rows": [{one}, {one}, {{"text": "it br', 3))
    assert found[:2] == [GOOD, GOOD] and reasons(found) == ["no whole JSON"]
    assert isinstance(found[2], Unread) and found[2].raw == '{"text": "it br'
    for text, said in (
        ("I cannot do that.", "no JSON"),
        ('{"text": "it br', "no whole JSON"),
        ('{"rows": []}', "no rows"),
    ):
        with pytest.raises(DataError, match=said):
            list(PLAIN.read(text, 3))


def test_rows_off_the_schema_are_told_one_by_one() -> None:
    text = json.dumps({"rows": [GOOD, {"text": "", "mood": "glad"}, {"text": "a"}, 7, {**GOOD, "more": 1}]})
    found = list(PLAIN.read(text, 5))
    assert found[0] == GOOD and len(reasons(found)) == 4
    assert all(reason.startswith("not by the schema: ") for reason in reasons(found))


@given(st.text(max_size=200), st.sampled_from([1, 3]))
def test_no_answer_breaks_the_reader(text: str, count: int) -> None:
    for prefix in ("", '{"rows": [', "{", "[{"):
        try:
            for one in PLAIN.read(prefix + text, count):
                assert isinstance(one, dict | Unread)
        except DataError:
            pass
