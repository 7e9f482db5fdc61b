"""Every way to accept, from the words of a file to what it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble._build_cascade import build_cascade
from pilotfish.assemble._specs_cascade import CascadeSpec
from pilotfish.assemble.check import checked
from pilotfish.assemble.specs import references
from pilotfish.errors import ConfigError
from pilotfish.infer import Cascade
from pilotfish.infer.calibrate import Promise, calibrate
from pilotfish.infer.watched import Watched
from pilotfish.models.catalog import Catalog
from tests.fakes import ScriptedModel
from tests.infer.trials import made


def built(folder: Path, table: dict[str, Any], **models: Any) -> Cascade:
    spec = checked(CascadeSpec, {"use": "cascade", **table}, "here")
    return build_cascade("both", spec, models.__getitem__, Catalog.load(), folder)


def pair(said: str, **settings: Any) -> dict[str, Any]:
    return {"small": ScriptedModel(said, name="small", **settings), "large": ScriptedModel("large", name="large")}


@pytest.mark.parametrize(
    ("accept", "trusted", "not_trusted"),
    [
        ({"by": "pattern", "pattern": "^[0-9]+$"}, "12", "twelve"),
        ({"by": "schema", "schema_file": "schema.json"}, "12", '"12"'),
        ({"by": "agreement", "above": 0.5, "samples": 3, "answer": "last-number"}, "is 3", "none"),
        ({"by": "self-verification", "above": 0.5, "samples": 2}, "yes", "no"),
        ({"by": "code", "seconds": 5}, "print(1)", "1 / 0"),
        ({"by": "function", "function": "tests.assemble.test_build_cascade:is_short"}, "x", "a longer one"),
    ],
)
def test_each_way_accepts_and_defers(accept: dict[str, Any], trusted: str, not_trusted: str, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps({"type": "integer"}))
    table = {"small": "small", "large": "large", "accept": accept}
    assert ask(built(tmp_path, table, **pair(trusted)), "?").text == trusted
    assert ask(built(tmp_path, table, **pair(not_trusted)), "?").text == "large"


def is_short(request: Any, reply: Any) -> bool:
    return len(reply.text) < 3


def test_scores_and_quantiles_stand_in_the_file(tmp_path: Path) -> None:
    accept = {"score": "quantile-logprob", "quantile": 0.2, "above": -1}
    table = {"small": "small", "large": "large", "accept": accept}
    assert ask(built(tmp_path, table, **pair("sure", logprob=-0.1)), "?").text == "sure"
    assert ask(built(tmp_path, table, **pair("unsure", logprob=-2.0)), "?").text == "large"


def test_models_in_order_with_one_way_for_all_or_one_each(tmp_path: Path) -> None:
    def models() -> dict[str, Any]:
        return {name: ScriptedModel(name, name=name, logprob=at) for name, at in (("a", -3), ("b", -1), ("c", 0))}

    one = {"models": ["a", "b", "c"], "accept": {"score": "mean-logprob", "above": -2}}
    assert ask(built(tmp_path, one, **models()), "?").text == "b"
    each = {"models": ["a", "b", "c"], "accepts": [{"score": "mean-logprob", "above": -2}, {"by": "schema"}]}
    with pytest.raises(ConfigError, match="give `schema`"):
        ask(built(tmp_path, each, **models()), "?")


def test_another_model_may_verify_and_is_a_reference(tmp_path: Path) -> None:
    accept = {"by": "self-verification", "above": 0.5, "model": "judge"}
    table = {"small": "small", "large": "large", "accept": accept}
    spec = checked(CascadeSpec, {"use": "cascade", **table}, "here")
    assert ("accept.model", "judge") in references(spec)
    chain = checked(CascadeSpec, {"use": "cascade", "models": ["a", "b"], "accepts": [accept]}, "here")
    assert set(references(chain)) == {("models.0", "a"), ("models.1", "b"), ("accepts.0.model", "judge")}
    judge = ScriptedModel("No", name="judge")
    reply = ask(built(tmp_path, table, judge=judge, **pair("a guess")), "?")
    assert [call.model for call in reply.trace.calls] == ["small", "judge", "large"]


def test_a_schema_file_that_is_none_is_told(tmp_path: Path) -> None:
    table = {"small": "small", "large": "large", "accept": {"by": "schema", "schema_file": "none.json"}}
    with pytest.raises(ConfigError, match=r"none\.json"):
        built(tmp_path, table, **pair("x"))
    (tmp_path / "none.json").write_text("[1]")
    with pytest.raises(ConfigError, match="no JSON object"):
        built(tmp_path, table, **pair("x"))


def test_a_calibration_gives_the_threshold_and_watches_for_drift(tmp_path: Path) -> None:
    score = {"by": "score", "score": "mean-logprob"}
    found = calibrate(made(2000), Promise("quality", 0.9, method="normal"), score=score)
    found.save(tmp_path / "c.json")
    accept = {"score": "mean-logprob", "calibration": "c.json", "on_drift": "defer", "window": 20}
    table = {"small": "small", "large": "large", "accept": accept}
    both = built(tmp_path, table, **pair("sure", logprob=found.above + 0.01))
    assert ask(both, "?").text == "sure"
    assert isinstance(both.accept, Watched)
    assert (both.accept.watch.above, both.accept.watch.window, both.accept.then) == (found.above, 20, "defer")
    assert ask(built(tmp_path, table, **pair("unsure", logprob=found.above - 0.01)), "?").text == "large"
    for wrong, told in (
        ({"score": "min-logprob"}, "this threshold is of"),
        ({"above": 1}, "`above` or `calibration`, not both"),
        ({"calibration": "none.json"}, "not a calibration"),
    ):
        with pytest.raises(ConfigError, match=told):
            built(tmp_path, table | {"accept": accept | wrong}, **pair("x"))
    with pytest.raises(ConfigError, match="need a `calibration`"):
        built(tmp_path, table | {"accept": {"score": "margin", "above": 0, "on_drift": "tell"}}, **pair("x"))
    with pytest.raises(ConfigError, match="has no threshold"):
        built(tmp_path, table | {"accept": {"by": "schema", "calibration": "c.json"}}, **pair("x"))
