"""Fallbacks, breakers and hedged calls, from the words of a file to what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_resilient import build_resilient
from pilotfish.assemble._specs_resilient import RESILIENT
from pilotfish.assemble.check import checked
from pilotfish.assemble.specs import references
from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.infer.resilient import Breaker, Fallback, Hedged
from pilotfish.model import Model
from tests.fakes import Answer, ScriptedModel, ScriptedUpstream, failing


def built(table: dict[str, Any], **models: Model) -> Any:
    spec: Any = checked(RESILIENT[table["use"]], table, "here")
    return build_resilient("safe", spec, models.__getitem__)


def test_a_fallback_with_a_time_limit() -> None:
    slow, quick = ScriptedModel("late", delay=30, name="slow"), ScriptedModel("in time", name="quick")
    model = built({"use": "fallback", "models": ["slow", "quick"], "timeout": 0.05}, slow=slow, quick=quick)
    assert isinstance(model, Fallback)
    reply = ask(model, "?")
    assert (reply.text, slow.cancelled) == ("in time", 1)
    assert reply.trace.decisions[-1].model == "safe"


def test_a_breaker_with_its_settings() -> None:
    far = ScriptedModel([UpstreamError("down")] * 2, name="far")
    table = {"use": "breaker", "model": "far", "failures": 2, "window": 5, "rest": 7, "share": 0.1}
    model = built(table, far=far)
    assert isinstance(model, Breaker)
    assert (model.failures, model.window, model.rest, model.share, model.name) == (2, 5, 7, 0.1, "safe")
    for _ in range(4):
        with pytest.raises(UpstreamError):
            ask(model, "?")
    assert far.calls == 2


def test_a_hedged_model_and_hedged_models() -> None:
    slow, quick = ScriptedModel("late", delay=30, name="slow"), ScriptedModel("in time", name="quick")
    model = built({"use": "hedged", "models": ["slow", "quick"], "after": 0.02}, slow=slow, quick=quick)
    assert ask(model, "?").text == "in time"
    twice = built({"use": "hedged", "model": "quick", "quantile": 0.9, "share": 0.2}, quick=quick)
    assert isinstance(twice, Hedged)
    assert (len(twice.models), twice.quantile, twice.after, twice.share) == (1, 0.9, None, 0.2)


def test_all_names_are_known_to_the_file() -> None:
    tables: list[dict[str, Any]] = [
        {"use": "fallback", "models": ["a", "b"]},
        {"use": "breaker", "model": "a"},
        {"use": "hedged", "model": "a", "after": 1},
    ]
    found = [[name for _, name in references(checked(RESILIENT[t["use"]], t, "here"))] for t in tables]
    assert found == [["a", "b"], ["a"], ["a"]]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"use": "fallback", "models": ["a"]}, "models"),
        ({"use": "breaker", "model": "a", "failures": 0}, "failures"),
        ({"use": "breaker", "model": "a", "rests": 3}, "rest"),
        ({"use": "hedged"}, "takes `model`"),
        ({"use": "hedged", "model": "a", "models": ["a", "b"]}, "takes `model`"),
        ({"use": "hedged", "models": ["a"]}, "two or more"),
        ({"use": "hedged", "model": "a", "after": 1, "quantile": 0.5}, "`after`"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        checked(RESILIENT[table["use"]], table, "here")


def test_they_nest_in_a_file(tmp_path: Path) -> None:
    with ScriptedUpstream(failing(500)) as broken, ScriptedUpstream(Answer("all well")) as sound:
        path = tmp_path / "safe.toml"
        path.write_text(
            f"""
            default = "safe"
            [models.far]
            use = "openai"
            model = "far"
            base_url = "{broken.url}"
            retries = 0
            cache = false
            [models.near]
            use = "openai"
            model = "near"
            base_url = "{sound.url}"
            cache = false
            [models.guarded]
            use = "breaker"
            model = "far"
            failures = 2
            [models.safe]
            use = "fallback"
            models = ["guarded", "quick"]
            [models.quick]
            use = "hedged"
            model = "near"
            after = 5
            """
        )
        model = Collaboration.load(path).model("safe")
        for _ in range(4):
            assert ask(model, "?").text == "all well"
        assert (broken.calls, sound.calls) == (2, 4)
