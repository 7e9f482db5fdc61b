"""Every recipe from scratch by its table: what is given arrives, files are read, the rest is the recipe's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_synthesize import build_checks, build_recipe
from pilotfish.assemble._specs_scratch import SCRATCH
from pilotfish.assemble._specs_synthesize import SynthesizeSpec
from pilotfish.assemble.check import checked
from pilotfish.errors import ConfigError, DataError
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.recipe import Made
from tests.fakes import ScriptedModel

TABLES: dict[str, dict[str, Any]] = {
    "attributed": {
        "task": "x",
        "fields": {"text": "t"},
        "attributes": {"topic": {"file": "tree.jsonl"}, "tone": ["calm"]},
        "examples": "seeds.jsonl",
        "shots": 1,
    },
    "instructed": {"seeds": "seeds.jsonl", "people": 2, "temperatures": [0.1, 0.2]},
    "evolved": {"seeds": "seeds.jsonl", "ways": ["deepening"]},
    "branched": {"task": "x", "branches": [2, 3], "template": "own.jinja"},
    "questioned": {"documents": "seeds.jsonl", "text": "instruction", "max_tokens": 7},
    "conversed": {"task": "x", "messages": [2, 6], "personas": {"file": "tree.jsonl", "column": "kind"}},
    "tabular": {"task": "x", "columns": {"a": {"use": "integer", "low": 1, "high": 2}}, "fields": {"note": "n"}},
    "coded": {"task": "x", "tests": 2, "seconds": 3.0, "constrained": False},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    seeds = [{"instruction": f"Say {i} and more.", "text": f"t{i}"} for i in range(3)]
    tree = [{"name": "cards", "kind": "k"}, {"name": "loans"}, {"name": "cards"}]
    for name, rows in (("seeds.jsonl", seeds), ("tree.jsonl", tree)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.jinja").write_text("Own words: {{ task }} {{ count }}")
    return tmp_path


def spec(name: str, **changes: Any) -> SynthesizeSpec:
    return checked(SynthesizeSpec, {"model": "m", name: {**TABLES[name], **changes}}, "the file")


def test_every_recipe_has_a_table() -> None:
    assert set(TABLES) == set(SCRATCH)


@pytest.mark.parametrize("name", SCRATCH)
def test_a_table_makes_its_recipe(folder: Path, name: str) -> None:
    recipe = build_recipe(spec(name), folder)
    assert recipe.name == name and json.dumps(recipe.config(), default=str)
    prompts = recipe.prompts(Made(wanted=4))
    assert prompts and all(prompt.template for prompt in prompts)
    checks = build_checks(spec(name), Collaboration({}), folder)
    assert [check.name for check in checks] == (["not proven"] if name == "coded" else [])


def test_what_is_given_arrives(folder: Path) -> None:
    def first(name: str) -> Any:
        return build_recipe(spec(name), folder).prompts(Made(wanted=4))

    assert {prompt.facts["attributes"]["topic"] for prompt in first("attributed")} == {"cards", "loans"}
    assert {prompt.request.temperature for prompt in first("instructed")} == {0.1, 0.2}
    assert {prompt.facts["way"] for prompt in first("evolved")} == {"deepening"}
    assert first("branched")[0].request.prompt == "Own words: x 2" and first("branched")[0].template.startswith("own@")
    assert first("questioned")[0].request.max_tokens == 7 and first("questioned")[0].request.temperature == 0.7
    assert {prompt.facts["persona"] for prompt in first("conversed")} == {"k"}
    assert first("coded")[0].request.response_format is None
    assert first("tabular")[0].request.response_format is not None


def test_a_tree_s_leaves_become_attributes(folder: Path) -> None:
    names = ScriptedModel(lambda request: json.dumps({"names": [f"n{request.metadata['sample'][1]}", "shared"]}))
    synthesize(build_recipe(spec("branched", branches=[2, 2]), folder), names, folder / "grown", progress=False)
    table = {"attributes": {"topic": {"file": "grown/rows.jsonl"}}}
    prompts = build_recipe(spec("attributed", **table), folder).prompts(Made(wanted=6))
    assert {prompt.facts["attributes"]["topic"] for prompt in prompts} == {"n0", "n1", "shared"}


def test_mistakes_are_told(folder: Path) -> None:
    with pytest.raises(DataError, match="no values in the column 'nope'"):
        build_recipe(spec("conversed", personas={"file": "tree.jsonl", "column": "nope"}), folder)
    with pytest.raises(DataError):
        build_recipe(spec("instructed", seeds="nowhere.jsonl"), folder)
    both = {"model": "m", "coded": TABLES["coded"], "evolved": TABLES["evolved"]}
    with pytest.raises(ConfigError, match="evolved and coded are two"):
        checked(SynthesizeSpec, both, "the file")
    with pytest.raises(ConfigError, match="ways"):
        spec("evolved", ways=["sideways"])
