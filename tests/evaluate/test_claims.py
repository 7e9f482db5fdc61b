"""Claims: taken out under a schema, asked for once, checked against pieces; what cannot be read is never a score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotfish.errors import ConfigError, DataError, UpstreamError
from pilotfish.evaluate.claims import ClaimCheck, Claims
from pilotfish.models.local import LocalModel
from tests.evaluate.test_consistency import SOURCE, Reads
from tests.fakes import ScriptedModel

pytest.importorskip("sentencex")

TEXTS = {
    "one": ["Anna was born in Oslo.", "They like fish."],
    "two": ["They not like fish", "Per likes cake", "Per likes cake"],
    "none": [],
}


def said(request: object) -> str:
    prompt: str = request.prompt  # type: ignore[attr-defined]
    text = prompt.partition("Text: ")[2].partition("\n")[0]
    if text.startswith("broken"):
        return text.removeprefix("broken")
    return "```json\n" + json.dumps({"claims": TEXTS[text]}) + "\n```"


def test_verdicts_are_of_single_claims(tmp_path: Path) -> None:
    check = ClaimCheck(Claims(ScriptedModel(said), tmp_path), Reads(), size=1)
    found = check([SOURCE] * 3, list(TEXTS))
    assert found.values.tolist() == pytest.approx([1, 0, 1])
    assert found.parts["contradicted"].tolist() == pytest.approx([0, 0.5, 0])
    assert found.parts["neutral"].tolist() == pytest.approx([0, 0.5, 0])
    assert found.parts["claims"].tolist() == [2, 2, 0]
    assert found.notes == ["", "", "no claim in the text"]
    told = check.checked([SOURCE], ["two"])[0]
    assert not isinstance(told, str)
    assert [(one.text, one.verdict) for one in told] == [
        ("They not like fish", "contradicted"),
        ("Per likes cake", "neutral"),
    ]


def test_a_text_is_asked_about_once_ever(tmp_path: Path) -> None:
    model = ScriptedModel(said)
    Claims(model, tmp_path).of(["one", "two", "one"])
    assert len(model.requests) == 2
    again = ScriptedModel(said)
    assert Claims(again, tmp_path).of(["two", "none", ""])[2] == []
    assert len(again.requests) == 1
    schema = model.requests[0].response_format
    assert schema is not None and schema["json_schema"]["schema"]["properties"]["claims"]["type"] == "array"
    assert model.requests[0].temperature == 0


def test_triplets_are_said_as_one(tmp_path: Path) -> None:
    model = ScriptedModel(json.dumps({"claims": [["Anna", "born in", "Oslo"]]}))
    found = Claims(model, tmp_path, form="triplets").of(["x"])[0]
    assert not isinstance(found, str) and [one.text for one in found] == ["Anna born in Oslo"]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("none at all", "no JSON"),
        ('{"facts": []}', "no JSON object with claims"),
        ("[1]", "no JSON object"),
        ('{"claims": "x"}', "no list"),
        ('{"claims": ["a", 3]}', "a claim that is none: 3"),
        ('{"claims": [" "]}', "a claim that is none"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, reply: str, why: str) -> None:
    found = ClaimCheck(Claims(ScriptedModel(said), tmp_path), Reads())([SOURCE], [f"broken{reply}"])
    assert found.values.tolist() == [0] and found.notes[0].startswith("unread: ") and why in found.notes[0]


def test_a_call_that_failed_is_made_again_and_is_no_verdict(tmp_path: Path) -> None:
    down = ScriptedModel(said, fail_first=100)
    with pytest.raises(UpstreamError):
        Claims(down, tmp_path).of(["one"])
    assert Claims(ScriptedModel(said), tmp_path).of(["one"])[0]


def test_a_local_model_can_say_nothing_else(tiny_lm: LocalModel, tmp_path: Path) -> None:
    request = Claims(tiny_lm, tmp_path, max_tokens=200).request("the cat sat")
    import asyncio

    told = asyncio.run(tiny_lm.reply(request))
    if told.finish_reason == "stop":
        assert isinstance(json.loads(told.text)["claims"], list)
    else:  # a model of random weights may go on for ever, but within the schema
        assert told.text.lstrip().startswith("{")


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sentences or triplets"):
        Claims(ScriptedModel(), tmp_path, form="words")
    with pytest.raises(ConfigError, match="the place"):
        Claims(ScriptedModel(), tmp_path, prompt="List all.")
    with pytest.raises(ConfigError, match="1 sentence"):
        ClaimCheck(Claims(ScriptedModel(), tmp_path), Reads(), size=0)
    with pytest.raises(DataError, match="2 sources"):
        ClaimCheck(Claims(ScriptedModel(), tmp_path), Reads())(["a", "b"], ["a"])
