"""Models that small ones write words around, by a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.classify import ClassifierModel, Labeller, TextClassifier, TfidfFeatures
from pilotfish.prompt.decompose import Decomposed
from pilotfish.prompt.demonstrate import ByChance, ByVectors, ByWords, Demonstrated
from pilotfish.prompt.select import Instructed
from pilotfish.prompt.soft import SuperICL
from pilotfish.serve.from_file import gateway_of

LEAF = {"use": "recorded", "path": "log.jsonl"}
SHOWN = {"use": "demonstrated", "model": "x", "rows": "pool.jsonl"}
RETRIEVER = {"rows": "r", "encoder": "e", "reader": "r", "out": "o"}
SOFT = {"use": "super-icl", "model": "x", "plug_in": "small", "labels": ["pos", "neg"], "rows": "soft.jsonl"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def write(name: str, rows: list[dict[str, Any]]) -> None:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    write("log.jsonl", [{"prompt": "Input: a\nOutput: b\n\nInput: q\nOutput:", "reply": "shown"}])
    write("pool.jsonl", [{"input": "a", "output": "b"}])
    write("soft.jsonl", [{"text": "good", "label": "pos", "predicted": "pos", "confidence": 0.9}])
    (tmp_path / "prompt.txt").write_text("Be brief.\n")
    TextClassifier(TfidfFeatures()).fit(["good film", "bad film"], ["pos", "neg"]).save(tmp_path / "small")
    return tmp_path


def file(folder: Path, **models: Any) -> Collaboration:
    held = {"x": LEAF, "small": {"use": "classifier", "path": "small"}, **models}
    return Collaboration({"models": held}, folder=folder)


def test_demonstrations_stand_in_the_prompt(folder: Path) -> None:
    models = file(folder, z={**SHOWN, "show": "text", "find": "chance", "k": 1})
    made = models.model("z")
    assert isinstance(made, Demonstrated) and isinstance(made.chooser.finder, ByChance)
    reply = ask(made, "q")
    assert reply.text == "shown" and [call.model for call in reply.trace.calls] == ["chance", "x"]
    gateway_of(models)


def test_every_way_to_find_and_to_choose(folder: Path, tiny_encoder_folder: Path) -> None:
    encoder = {"use": "encoder", "weights": str(tiny_encoder_folder)}
    words = file(folder, z={**SHOWN, "language": "none", "diverse": "mmr", "relevance": 0.5, "same": 0}).model("z")
    assert isinstance(words, Demonstrated) and isinstance(words.chooser.finder, ByWords)
    assert words.chooser.finder.words.stemmer is None and words.chooser.same is None
    assert words.chooser.diverse == "mmr" and words.chooser.relevance == 0.5
    near = file(folder, e=encoder, z={**SHOWN, "find": "encoder", "encoder": "e", "read": "{output}"}).model("z")
    assert isinstance(near, Demonstrated) and isinstance(near.chooser.finder, ByVectors)
    assert near.chooser.finder.form == "{output}"
    with pytest.raises(ModelError, match="not a saved retriever"):
        file(folder, z={**SHOWN, "find": "taught", "retriever": "none"}).model("z")


def test_a_model_with_probabilities_stays_one(folder: Path, tiny_folder: Any) -> None:
    models = file(
        folder,
        lm={"use": "local", "weights": str(tiny_folder()), "dtype": "float32"},
        shown={**SHOWN, "model": "lm", "question": "Text: {input}"},
        told={"use": "instructed", "model": "shown", "instruction": "Be brief."},
        z={"use": "labeller", "model": "told", "labels": ["pos", "neg"]},
    )
    labeller = models.model("z")
    assert isinstance(labeller, Labeller) and labeller.white_box
    assert ask(labeller, "q").text in ("pos", "neg")


def test_a_plug_in_and_what_it_says_of_its_rows(folder: Path) -> None:
    made = file(folder, z={**SOFT, "names": {"pos": "good one"}, "reasons": "all"}).model("z")
    assert isinstance(made, SuperICL) and isinstance(made.plug_in, ClassifierModel)
    assert made.reasons == "all" and made.chooser.k == 8 and isinstance(made.chooser.finder, ByChance)


def test_sub_questions_and_instructions(folder: Path) -> None:
    models = file(
        folder,
        apart={"use": "decomposed", "model": "x", "decomposer": "small", "most": 2, "attempt": True},
        told={"use": "instructed", "model": "apart", "path": "prompt.txt", "template": "{instruction}|{prompt}"},
    )
    told = models.model("told")
    assert isinstance(told, Instructed) and told.instruction == "Be brief."
    assert isinstance(told.model, Decomposed) and told.model.most == 2 and told.model.attempt


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({**SHOWN, "find": "encoder"}, "needs `encoder`"),
        ({**SHOWN, "find": "words", "seed": 1}, "takes no `seed`"),
        ({**SHOWN, "find": "chance", "diverse": "mmr"}, "chance knows no likeness"),
        ({**SHOWN, "find": "encoder", "encoder": "x"}, "is no encoder"),
        ({**SHOWN, "find": "encoder", "encoder": "none"}, "no such model"),
        ({**SHOWN, "show": "turns", "example": "{input}{output}"}, "takes no `example`"),
        ({**SHOWN, "question": "none"}, "`input` has"),
        ({**SHOWN, "use": "demonstrate"}, "demonstrated"),
        ({**SOFT, "labels": ["neg", "other"]}, "not among the labels"),
        ({"use": "decomposed", "model": "x", "decomposer": "small", "template": "none"}, "template"),
        ({"use": "instructed", "model": "x"}, "give the `instruction`"),
        ({"use": "instructed", "model": "x", "path": "none.txt"}, "cannot be read"),
    ],
)
def test_what_is_wrong_is_told(folder: Path, table: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        file(folder, z=table).model("z")


def test_rows_that_do_not_fit_are_told(folder: Path) -> None:
    with pytest.raises(DataError, match="row 1"):
        file(folder, z={**SHOWN, "input": "question"}).model("z")
    with pytest.raises(DataError, match="row 1"):
        file(folder, z={**SOFT, "rows": "pool.jsonl"}).model("z")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"instruction": {"labels": ["a", "b"]}}, "`labels` are of"),
        ({"instruction": {"proposals": 3}}, "name a model"),
        ({"instruction": {"scorer": "e"}}, "2 `rounds`"),
        ({"instruction": {"proxy_rows": 3}}, "name a small model"),
        ({"instruction": {"model": "none"}}, "no such model"),
        (
            {"retriever": {"rows": "r", "encoder": "e", "reader": "r", "out": "o", "near": 1, "chance": 0}},
            "two examples",
        ),
        ({"retrieve": {}}, "retriever"),
    ],
)
def test_tables_of_prompts_that_do_not_fit(folder: Path, table: dict[str, Any], told: str) -> None:
    if "instruction" in table:
        whole = {"rows": "r", "prompt": "{p}", "gold": "g", "model": "x", "out": "o", **table["instruction"]}
        table = {"instruction": whole}
    with pytest.raises(ConfigError, match=told):
        Collaboration({"models": {"x": LEAF}, "prompts": table}, folder=folder)
