"""What is kept of synthesised rows: checked columns, grades, labels that a second model reads too."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.checks import ByFunction, FitsSchema, Matches
from pilotfish.model import Reply, Request, TokenLogprob
from pilotfish.synthesize.keep import Agrees, Clean, Graded, Unlike, Verified
from pilotfish.synthesize.recipe import Check, Made, Prompt
from tests.fakes import ScriptedModel

ROWS = [{"text": "good film", "label": "glad"}, {"text": "dull film", "label": "glad"}, {"text": "odd", "label": "sad"}]
PROMPTS = [Prompt(Request.of(f"write number {i}")) for i in range(3)]


def reasons(check: Check) -> list[str | None]:
    return list(asyncio.run(check.reasons(ROWS, PROMPTS, Made())))


def by_request(request: Request, reply: Reply) -> bool:
    return request.prompt.endswith("0") and '"label": "glad"' in reply.text


def test_columns_are_held_to_checks() -> None:
    assert reasons(Verified(Matches("film"), "text")) == [None, None, "text: no match of 'film'"]
    schema = {"type": "object", "properties": {"label": {"const": "glad"}}}
    assert reasons(Verified(FitsSchema(schema))) == [None, None, "the row: not by the schema"]
    own = Verified(ByFunction("tests.synthesize.keep.test_keep:by_request"))
    assert [reason is None for reason in reasons(own)] == [True, False, False]
    assert own.config()["check"] == "ByFunction"


def test_a_judge_s_grades_decide(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        return {"good": "Fine. Grade: 9", "dull": "Poor.\nGrade: 3", "odd": "I will not say."}[
            next(word for word in ("good", "dull", "odd") if word in request.prompt)
        ]

    model = ScriptedModel(said)
    check = Graded(model, tmp_path / "judge", least=7)
    assert reasons(check) == [None, "3 of 10", "no grade in the judge's answer"]
    assert "Asked for: write number 0" in model.requests[0].prompt
    check.close()
    reasons(Graded(model, tmp_path / "judge", least=9))  # another bar, and nobody is asked again
    assert model.calls == 3
    for wrong in ({"least": 11}, {"low": 10, "high": 1}, {"prompt": "Grade: {row}"}):
        with pytest.raises(ConfigError):
            Graded(model, tmp_path / "x", **wrong)


def test_a_label_is_kept_where_another_model_reads_it_too(tmp_path: Path) -> None:
    def said(request: Request) -> Reply:
        if request.prompt == "odd":
            raise ModelError("too odd")
        glad = 0.9 if "good" in request.prompt else 0.3
        top = (("glad", math.log(glad)), ("sad", math.log(1 - glad)))
        first = "glad" if glad > 0.5 else "sad"
        return Reply(first, logprobs=(TokenLogprob(first, dict(top)[first], top),))

    assert reasons(Agrees(ScriptedModel(said), tmp_path / "a")) == [None, "read as sad", "not read: too odd"]
    assert reasons(Agrees(ScriptedModel(said), tmp_path / "a", least=0.25))[:2] == [None, None]
    assert reasons(Agrees(ScriptedModel(said), tmp_path / "a", least=0.5))[1] == "read as sad, and so with 0.30"
    with pytest.raises(ConfigError, match="probability"):
        Agrees(ScriptedModel(said), tmp_path / "a", least=1.0)


def test_settings_are_told_without_what_is_open(tmp_path: Path) -> None:
    told: dict[str, Any] = Graded(ScriptedModel(name="judge"), tmp_path / "a").config()
    assert told["judge"] == "judge" and not any(name.startswith("_") for name in told)


LONG = "the quick brown fox jumps over the lazy dog near the old river bank at dawn"


def test_what_is_said_already_goes() -> None:
    made = Made()
    made.keep({"text": "where is my new card"}, {})
    rows = [
        {"text": "Where is my new card?"},
        {"text": "how do I get a loan"},
        {"text": "how do I get a loan!"},
        {"text": "the rates are too high"},
        {"text": "a seed of the user's own"},
    ]
    check = Unlike(["text"], 0.8, others=[{"text": "a seed of the user's own."}])
    found = list(asyncio.run(check.reasons(rows, PROMPTS[:1] * 5, made)))
    assert [reason is None for reason in found] == [False, True, False, True, False]
    assert found[0] == "1.00 like 'where is my new card'"
    assert check.config()["others"] == 1
    loose = Unlike(["text"], 0.3)
    near = [{"text": "aaaa bbbb cccc"}, {"text": "bbbb cccc dddd"}, {"text": "cccc dddd eeee"}]
    kept = [reason is None for reason in asyncio.run(loose.reasons(near, PROMPTS, Made()))]
    assert kept == [True, False, True]  # what goes takes nothing with it
    copies = [{"text": "aaaa bbbb cccc"}, {"text": "bbbb cccc dddd"}, {"text": "Bbbb, cccc dddd"}]
    kept = [reason is None for reason in asyncio.run(loose.reasons(copies, PROMPTS, Made()))]
    assert kept == [True, False, False]  # but its copies
    by_sketch = Unlike(["text"], 0.6, method="minhash")
    many = [{"text": f"{LONG} {word}"} for word in ("", "today", "again")] + [{"text": "another thing"}]
    kept = [reason is None for reason in asyncio.run(by_sketch.reasons(many, PROMPTS[:1] * 4, Made()))]
    assert kept == [True, False, False, True]
    with pytest.raises(ConfigError, match="similarity"):
        Unlike(threshold=0.0)


def test_rows_that_hold_test_rows_go() -> None:
    rows = [{"text": f"I said {LONG} and more"}, {"text": "something else altogether"}, {"text": LONG.upper()}]
    check = Clean({"official": ["unrelated words here", LONG]}, ["text"])
    found = list(asyncio.run(check.reasons(rows, PROMPTS, Made())))
    assert found[1] is None and found[0] and "row 2 of official" in found[0] and found[2]
    assert check.config()["tests"] == {"official": 2}
    with pytest.raises(ConfigError, match="test sets"):
        Clean({})
