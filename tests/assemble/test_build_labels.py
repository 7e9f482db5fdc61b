"""The `[synthesize.labels]` table: what goes together, what is refused, and what is built of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_labels import build_kind, build_labels, rows_of
from pilotfish.assemble._specs_labels import KINDS, LabelsOnlySpec
from pilotfish.assemble._specs_synthesize import SynthesizeSpec
from pilotfish.assemble.check import checked
from pilotfish.errors import ConfigError, DataError, PilotfishError
from pilotfish.models.local import LocalModel
from pilotfish.synthesize.labels import Choosing, Labelling
from pilotfish.synthesize.recipe import Made
from tests.fakes import ScriptedModel

TABLE = {"kind": "choice", "rows": "rows.jsonl", "task": "t", "labels": ["a", "b"]}


def table(**more: Any) -> LabelsOnlySpec:
    given = {key: value for key, value in {**TABLE, **more}.items() if value is not None}
    return checked(LabelsOnlySpec, given, "[synthesize.labels]")


@pytest.fixture
def models(tmp_path: Path, tiny_encoder_folder: Path) -> Collaboration:
    """A file's models, beside a file of rows and one of gold rows."""
    rows = [{"text": f"row {i}", "first": "x", "second": "y"} for i in range(3)]
    gold = [{**row, "text": f"gold {i}", "label": "ab"[i % 2]} for i, row in enumerate(rows * 2)]
    for name, these in (("rows.jsonl", rows), ("gold.jsonl", gold)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in these))
    encoder = {"use": "encoder", "weights": str(tiny_encoder_folder)}
    return Collaboration({"models": {"small": encoder}}, folder=tmp_path)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"shots": 2}, "`shots` needs `gold`"),
        ({"judge": 10}, "`judge` needs `gold`"),
        ({"calibrate": "isotonic"}, "`calibrate` needs `gold`"),
        ({"gold": "g", "select": "near"}, "is about `shots`"),
        ({"gold": "g", "shots": 2, "select": "near"}, "needs an `encoder`"),
        ({"gold": "g", "shots": 2, "select": "random", "encoder": "small"}, "is not looked at"),
        ({"gold": "g", "shots": 2, "select": "near", "encoder": "small", "relevance": 0.5}, "`relevance` is for"),
        ({"ties": True}, "take no `ties`"),
        ({"labels": None}, "need `labels`"),
        ({"kind": "spans", "text": ["x", "y"]}, "spans are of one column"),
        ({"kind": "score"}, "take no `labels`"),
        ({"by": "probability", "samples": 3}, "go by probability"),
        ({"by": "answer", "unbias": True}, "`unbias` needs probabilities"),
        ({"leest": 0.5}, "least"),
        ({"least": 0}, "least"),
    ],
)
def test_what_would_not_be_looked_at_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        table(**more)


def test_labels_are_one_recipe_and_one_round() -> None:
    for more, said in (({"rounds": 3}, "labels are one round"), ({"labels": None}, "has one recipe")):
        given = {"model": "m", "labels": TABLE, **more}
        with pytest.raises(ConfigError, match=said):
            checked(SynthesizeSpec, {key: value for key, value in given.items() if value is not None}, "[synthesize]")


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_is_built_with_its_own_settings(kind: str, models: Collaboration) -> None:
    own: dict[str, dict[str, Any]] = {
        "choice": {"labels": {"a": "first letter", "b": ""}},
        "several": {"ask": "each", "share": 0.4},
        "spans": {"mentions": "all", "unfound": "drop", "overlaps": "keep", "most": 5},
        "preference": {"labels": None, "ties": False, "first": "second", "second": "first"},
        "score": {
            "labels": None,
            "low": 0,
            "high": 3,
            "take": "mode",
            "within": 1,
            "whole": True,
            "meanings": {"0": "no"},
        },
    }
    given = table(kind=kind, **own[kind])
    told = build_kind(given).config()
    assert told["kind"] == kind
    for name, value in own[kind].items():
        if value is not None and name != "ask":
            assert told[name] == value, name
    recipe, model = build_labels(given, models, ScriptedModel())
    assert isinstance(model, ScriptedModel) and len(recipe.prompts(Made())) == 3 * len(recipe.kind.variants)


def test_a_model_here_is_asked_for_probabilities_unless_answers_are_meant(
    models: Collaboration, tiny_lm: LocalModel
) -> None:
    def built(**more: Any) -> tuple[Labelling, Any]:
        return build_labels(table(**more), models, tiny_lm)

    recipe, model = built()
    assert isinstance(model, Choosing) and recipe.by == "probability"
    for more in ({"samples": 3}, {"kind": "spans"}, {"by": "answer"}):
        recipe, model = built(**more)
        assert model is tiny_lm and recipe.by == "answer"
    with pytest.raises(ConfigError, match="does not tell"):
        build_labels(table(by="probability"), models, ScriptedModel())


def test_examples_are_chosen_by_the_encoder_of_the_file(models: Collaboration) -> None:
    shown = table(gold="gold.jsonl", shots=2, encoder="small", select="near", judge=0)
    recipe, _ = build_labels(shown, models, ScriptedModel())
    asked = recipe.prompts(Made())
    assert len(asked) == 3 and all(len(prompt.facts["shown"]) == 2 for prompt in asked)
    assert asked[0].facts["shown"] != asked[1].facts["shown"]
    with pytest.raises(PilotfishError, match="nobody"):
        build_labels(shown.model_copy(update={"encoder": "nobody"}), models, ScriptedModel())


def test_rows_must_be_there_with_their_columns(models: Collaboration) -> None:
    for more, said in (({"text": "body"}, "body"), ({"rows": "none.jsonl"}, "none"), ({"gold": "none.jsonl"}, "none")):
        with pytest.raises(DataError, match=said):
            rows_of(table(**more), models.folder)
    assert rows_of(table(gold="none.jsonl"), models.folder, gold_may_lack=True)[1] == []
    (models.folder / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="empty"):
        rows_of(table(rows="empty.jsonl"), models.folder)
