"""Every augmentation by its table: what is given arrives, labels are confirmed, what is unread is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_synthesize import build_checks, build_synthesis
from pilotfish.assemble._specs_augment import AUGMENT, UNASKED
from pilotfish.assemble._specs_synthesize import SynthesizeSpec
from pilotfish.assemble.check import checked
from pilotfish.errors import ConfigError, DataError
from pilotfish.synthesize.augment import Drift
from pilotfish.synthesize.augment.varied import Varied
from pilotfish.synthesize.recipe import Made

pytest.importorskip("sklearn")

ROWS = [{"text": f"my {word} {i}", "intent": word, "city": f"C{i}"} for i, word in enumerate(("card", "loan") * 3)]
TASKS = [{"instruction": f"Say {i}.", "input": ""} for i in range(5)]
TABLES: dict[str, dict[str, Any]] = {
    "paraphrased": {"rows": "rows.jsonl", "label": "intent", "ways": ["words"], "each": 2, "temperatures": [0.1, 0.2]},
    "restyled": {"rows": "rows.jsonl", "styles": ["chat"], "template": "own.jinja"},
    "backtranslated": {"rows": "rows.jsonl", "through": ["German"], "language": "English", "max_tokens": 7},
    "flipped": {"rows": "rows.jsonl", "label": "intent", "labels": ["card", "loan"], "edited": 0.3},
    "mixed": {"rows": "tasks.jsonl", "pool": 2, "constrained": False},
    "noised": {"rows": "rows.jsonl", "kinds": ["typos"], "rate": 0.5, "protect": ["numbers"], "group": "of"},
    "slotted": {"rows": "rows.jsonl", "lists": {"what": {"file": "rows.jsonl", "column": "intent"}, "n": ["1", "2"]}},
}


@pytest.fixture
def models(tmp_path: Path) -> Collaboration:
    for name, rows in (("rows.jsonl", ROWS), ("tasks.jsonl", TASKS)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.jinja").write_text("Own words: {{ text }} {{ way }}")
    (tmp_path / "none.jsonl").write_text('{"intent": ""}\n')
    spec = {"use": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "key_env": ""}
    return Collaboration({"models": {"m": spec}}, folder=tmp_path)


def spec(name: str, top: dict[str, Any] | None = None, **changes: Any) -> SynthesizeSpec:
    asked = {} if name in UNASKED else {"model": "m"}
    return checked(SynthesizeSpec, {**asked, **(top or {}), name: {**TABLES[name], **changes}}, "the file")


def built(models: Collaboration, name: str, **changes: Any) -> Varied:
    recipe, model = build_synthesis(spec(name, **changes), models)
    assert (model is None) == (name in UNASKED) and isinstance(recipe, Varied)
    return recipe


def test_every_recipe_has_a_table() -> None:
    assert set(TABLES) == set(AUGMENT)


@pytest.mark.parametrize("name", AUGMENT)
def test_a_table_makes_its_recipe(models: Collaboration, tmp_path: Path, name: str) -> None:
    recipe = built(models, name)
    assert recipe.name == name and json.dumps(recipe.config(), default=str) and recipe.prompts(Made())
    checks = build_checks(spec(name), models, tmp_path, recipe)
    assert [check.name for check in checks] == (["label not confirmed"] if "label" in TABLES[name] else [])
    for check in checks:
        check.close()


def test_what_is_given_arrives(models: Collaboration) -> None:
    def first(name: str, **changes: Any) -> Any:
        return built(models, name, **changes).prompts(Made())

    assert {prompt.facts["way"] for prompt in first("paraphrased")} == {"words"} and len(first("paraphrased")) == 12
    assert {prompt.request.temperature for prompt in first("paraphrased")} == {0.1, 0.2}
    assert first("restyled")[0].request.prompt.startswith("Own words: my card 0 a quick message")
    assert first("backtranslated")[0].request.max_tokens == 7
    assert first("mixed")[0].request.response_format is None and first("mixed")[0].request.max_tokens == 1024
    noised = built(models, "noised")
    assert "of" in noised.beside()["parents.jsonl"][0] and noised.config()["kinds"] == ["typos"]
    assert built(models, "slotted").config()["lists"] == {"what": 2, "n": 2}
    assert built(models, "slotted", lists=None, columns=["city"]).config()["lists"] == {"city": 6}
    near = built(models, "flipped", drift={"least": 0.2}).drift
    assert near == Drift(least=0.2, most=1.0)  # the rest is the recipe's own


def test_who_confirms_is_told_or_nobody(models: Collaboration, tmp_path: Path) -> None:
    def names(**changes: Any) -> list[Any]:
        checks = build_checks(spec("paraphrased", **changes), models, tmp_path)
        for check in checks:
            check.close()
        return [check.config()["model"] for check in checks]

    assert names()[0].startswith("classifier of 6 parents") and names(confirm={"model": "m", "least": 0.5}) == ["m"]
    assert names(confirm=False) == [] and names(label=None) == []


def test_mistakes_are_told(models: Collaboration, tmp_path: Path) -> None:
    top: dict[str, Any]
    for name, top, changes, said in (
        ("noised", {"model": "m"}, {}, "nothing would look at model"),
        ("slotted", {"budget": {"calls": 1}, "reuse": "finished"}, {}, "budget and reuse"),
        ("paraphrased", {"model": None}, {}, "asked of a `model`"),
        ("paraphrased", {}, {"label": None, "confirm": {"model": "m"}}, "name the column"),
        ("paraphrased", {}, {"confirm": {"model": "m", "features": "tf-idf"}}, "give one"),
        ("paraphrased", {}, {"drift": {"cosine": 0.5}}, "encoder"),
        ("paraphrased", {}, {"ways": ["sideways"]}, "ways"),
        ("flipped", {}, {"label": None}, "label"),
        ("mixed", {}, {"text": "x"}, "text"),
    ):
        with pytest.raises(ConfigError, match=said):
            spec(name, top, **changes)
    with pytest.raises(DataError, match="no values in the column 'intent'"):
        built(models, "slotted", lists={"a": {"file": "none.jsonl", "column": "intent"}})
    with pytest.raises(DataError, match="no column 'txt'"):
        built(models, "noised", text="txt")
    with pytest.raises(ConfigError, match="no such model"):
        confirm = {"model": "n"}
        table = {"synthesize": {"model": "m", "paraphrased": {**TABLES["paraphrased"], "confirm": confirm}}}
        Collaboration({"models": {"m": {"use": "openai", "model": "m"}}, **table}, folder=tmp_path)
