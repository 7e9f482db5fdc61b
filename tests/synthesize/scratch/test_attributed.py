"""Rows by class and attributes: quotas met, values in turn, asked again for what was not kept."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.recipe import Made
from pilotfish.synthesize.scratch.attributed import Attributed
from tests.fakes import ScriptedModel

FIELDS = {"text": "what the customer writes", "intent": "what it is about"}
LABELS = {"refund": "wants money back", "card": "a card is lost", "other": ""}


def recipe(**settings: Any) -> Attributed:
    given = {"label": "intent", "labels": LABELS, "attributes": {"tone": ["calm", "angry"], "length": ["short"]}}
    return Attributed("Messages to a bank.", FIELDS, **{**given, **settings})


def test_classes_come_in_their_shares_and_attributes_in_turn(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: json.dumps({"text": request.prompt[-40:]}))
    made = synthesize(recipe(shares={"refund": 2, "card": 1, "other": 1}), model, tmp_path, rows=20, progress=False)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert made.whole and Counter(row["intent"] for row in rows) == {"refund": 10, "card": 5, "other": 5}
    tones = Counter(row["synthesis"]["facts"]["attributes"]["tone"] for row in rows if row["intent"] == "refund")
    assert tones == {"calm": 5, "angry": 5}
    (first,) = {request.prompt for request in model.requests if request.metadata["sample"] == [0, 0]}
    assert "Messages to a bank." in first and "wants money back" in first and "- tone: " in first
    assert '"intent"' not in first  # it is known, and not asked for


def test_what_was_not_kept_is_asked_for_again(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        good = request.metadata["sample"][1] % 3
        return json.dumps({"text": f"{request.metadata['sample']}"}) if good else "no"

    report = synthesize(recipe(), ScriptedModel(said), tmp_path, rows=30, progress=False)
    assert report.whole and report.rounds > 1 and report.rejected["no JSON in the answer"] > 5
    counts = Counter(json.loads(line)["intent"] for line in (tmp_path / "rows.jsonl").read_text().splitlines())
    assert set(counts.values()) == {10}  # what is too much of a class is told as not needed
    assert report.kept + sum(report.rejected.values()) == report.prompts


def test_several_rows_a_prompt_and_a_sweep_of_temperatures() -> None:
    one = recipe(each=4, asking=Asking((0.3, 1.2)), examples=[{"text": "hello", "intent": "card"}])
    prompts = one.prompts(Made(wanted=24))
    assert len(prompts) == 6 and Counter(prompt.request.temperature for prompt in prompts) == {0.3: 3, 1.2: 3}
    for prompt in prompts:
        assert "Write 4 rows" in prompt.request.prompt and '{"text": "hello"}' in prompt.request.prompt
        schema = prompt.request.response_format["json_schema"]["schema"]  # type: ignore[index]
        assert schema["properties"]["rows"]["minItems"] == 4
    assert [p.request for p in one.prompts(Made(wanted=24))] == [p.request for p in prompts]
    assert [p.request for p in one.prompts(Made(wanted=24, seed=1))] != [p.request for p in prompts]


def test_without_classes_there_are_rows_alone(tmp_path: Path) -> None:
    plain = Attributed("Facts.", {"fact": "a fact"}, asking=Asking(constrained=False))
    model = ScriptedModel('{"fact": "water is wet"}')
    report = synthesize(plain, model, tmp_path, rows=3, progress=False)
    assert report.kept == 3 and model.requests[0].response_format is None


def test_mistakes_are_told() -> None:
    mistakes: list[dict[str, Any]] = [
        {"labels": None},
        {"labels": ["one"]},
        {"shares": {"refund": 1.0}},
        {"attributes": {"tone": "calm"}},
        {"by_label": {"refnd": {}}},
        {"each": 0},
        {"template": "nowhere"},
    ]
    for wrong in mistakes:
        with pytest.raises(ConfigError):
            recipe(**wrong)
    with pytest.raises(ConfigError, match="how many rows"):
        recipe().prompts(Made())
