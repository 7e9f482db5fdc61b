"""A route from the words of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from pilotfish import ask
from pilotfish.assemble._build_route import build_route
from pilotfish.assemble._specs_route import RouteSpec
from pilotfish.assemble.check import checked
from pilotfish.assemble.specs import references
from pilotfish.errors import ConfigError, ModelError
from pilotfish.infer.routing import LinearRouter
from pilotfish.models.catalog import Catalog
from pilotfish.models.classify.features import TfidfFeatures
from tests.fakes import ScriptedModel
from tests.infer.routing.help import MODELS, made

POEM = "A rhyme on moon river"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("route")
    LinearRouter(TfidfFeatures()).fit(made()).save(where / "router")
    return where


def said(folder: Path, **table: Any) -> str:
    spec = checked(RouteSpec, {"use": "route", "models": list(MODELS), "router": "router", **table}, "here")
    models = {name: ScriptedModel(name, name=name) for name in MODELS}
    return ask(build_route("all", spec, models.__getitem__, Catalog.load(), folder), POEM).text


def test_what_to_choose_by_stands_in_the_file(folder: Path) -> None:
    assert said(folder, choose={"quality_at_least": 0.6}) == "poet"
    assert said(folder, choose={"cost_at_most": 0.0}) in ("poet", "clerk")
    assert said(folder, choose={"price": 1e6}) in ("poet", "clerk")
    assert said(folder) in ("poet", "sage")


def test_models_of_a_route_are_references() -> None:
    spec = checked(RouteSpec, {"use": "route", "models": ["a", "b"], "router": "r"}, "here")
    assert references(spec) == [("models.0", "a"), ("models.1", "b")]


def test_faults_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="by one of quality_at_least, cost_at_most and price"):
        said(folder, choose={"price": 1, "cost_at_most": 1})
    with pytest.raises(ModelError, match="not a saved router"):
        said(tmp_path)
    spec = checked(RouteSpec, {"use": "route", "models": ["a"], "router": "router"}, "here")
    with pytest.raises(ConfigError, match="has not learned 'a'"):
        build_route("all", spec, lambda name: ScriptedModel(name=name), Catalog.load(), folder)
