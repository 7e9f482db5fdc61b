"""Trees of topics, and chats by persona."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.scratch.branched import Branched
from pilotfish.synthesize.scratch.conversed import Conversed
from tests.fakes import ScriptedModel


def test_a_tree_grows_level_by_level(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        at = request.prompt.partition(' of "')[2].partition('"')[0]
        return json.dumps({"names": [f"{at}.{i}" for i in range(2)] + [f"{at}.1", ""]})

    model = ScriptedModel(said)
    report = synthesize(Branched("Topics of banking.", [4, 2]), model, tmp_path, progress=False)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert Counter(row["depth"] for row in rows) == {1: 2, 2: 4}
    assert rows[-1]["path"] == [".1", ".1.1"] and rows[-1]["name"] == ".1.1"
    assert report.rejected == {"named twice": 3, "no name": 3}
    schema = model.requests[0].response_format["json_schema"]["schema"]  # type: ignore[index]
    assert schema["properties"]["names"]["minItems"] == 4
    assert "So far: .0" in model.requests[1].prompt and 'topics of ".0"' in model.requests[1].prompt
    with pytest.raises(ConfigError, match="branches"):
        Branched("x", [])


def test_chats_alternate_and_begin_with_the_user(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        number = request.metadata["sample"][1]
        turns = ["user", "assistant"] * 2 if number % 3 else ["assistant", "user"]
        messages = [{"role": role, "content": f"{number}"} for role in turns]
        return "Here: " + json.dumps({"messages": messages}) if number != 1 else "hello"

    chats = Conversed("Chats at a bank.", personas=["a nurse", "a baker"], attributes={"mood": ["glad"]})
    model = ScriptedModel(said)
    report = synthesize(chats, model, tmp_path, rows=8, progress=False)
    assert report.whole and set(report.rejected) == {
        "the turns do not alternate, the user first",
        "no conversation in the answer",
    }
    assert {
        persona for request in model.requests for persona in ("a nurse", "a baker") if persona in request.prompt
    } == {
        "a nurse",
        "a baker",
    }
    first = model.requests[0]
    assert "- mood: glad" in first.prompt and "4 messages" in first.prompt
    items = first.response_format["json_schema"]["schema"]["properties"]["messages"]["prefixItems"]  # type: ignore[index]
    assert [one["properties"]["role"]["const"] for one in items] == ["user", "assistant"] * 2
    with pytest.raises(ConfigError, match="2 messages"):
        Conversed("x", messages=[1])
