"""`[metrics]`: every kind from a table, mistakes with the nearest right word, fits and the file's models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_metrics import BUILD, metric_named
from pilotfish.assemble._specs_metrics import METRICS
from pilotfish.errors import ConfigError, ModelError
from pilotfish.evaluate.bertscore import BertScore, Idf, baseline_of
from pilotfish.evaluate.likelihood import BartScore, Continues
from pilotfish.models.reader import Reader
from pilotfish.rows._row import Row
from tests.evaluate.test_likelihood import write_seq2seq
from tests.evaluate.test_nli import write_nli

pytest.importorskip("torch")
ROWS: list[Row] = [
    {"answer": "the cat sat", "reference": ["the cat", "a mat"], "source": "the cat sat on the mat"},
    {"answer": "where is it", "reference": "where is my card", "source": "my card is not here"},
]


def file(metrics: dict[str, Any], models: dict[str, Any] | None = None, folder: Path | None = None) -> Collaboration:
    return Collaboration({"metrics": metrics, "models": models or {}}, where="c.toml", folder=folder)


def test_every_kind_has_a_class_and_a_function() -> None:
    assert set(METRICS.values()) == set(BUILD)


@pytest.mark.parametrize("name", [name for name in METRICS if name.startswith(("rouge", "bleu", "chrf"))])
def test_words(name: str) -> None:
    metric = metric_named("mine", file({"mine": {"use": name, "candidate": "source"}}))
    assert (metric.name, metric.columns, metric.settings) == ("mine", ("source", "reference"), {"use": name})
    assert metric(ROWS).values == pytest.approx(metric_named(name, file({}), {"candidate": "source"})(ROWS).values)
    assert "stems" in metric_named("r", file({"r": {"use": "rouge1", "stemmed": True}})).label


def test_bertscore_sees_the_references_first(tiny_encoder_folder: Path, tiny_encoder: Any) -> None:
    table = {"use": "bertscore", "model": "small", "idf": True, "rescale": True, "layer": 1, "seed": 3}
    models = {"small": {"use": "encoder", "weights": str(tiny_encoder_folder)}}
    made = metric_named("near", file({"near": table}, models))
    with pytest.raises(ConfigError, match="near goes by what is in all rows"):
        made(ROWS)
    metric = made.fitted(iter(ROWS))
    references = ["the cat", "a mat", "where is my card"]
    wanted = BertScore(tiny_encoder, 1)
    wanted.idf = Idf.over(references, wanted.states)
    wanted.baseline = baseline_of(wanted, references, seed=3)
    texts = [row["answer"] for row in ROWS], [row["reference"] for row in ROWS]
    assert metric(ROWS).values == pytest.approx(wanted(*texts).values)
    assert metric.name == "near" and metric.label == "bertscore (small, layer 1, idf, rescaled)"
    assert metric.settings["models"]["small"]["small"]["weights"] == str(tiny_encoder_folder)
    assert metric.explained(ROWS[0])[0].text == "the cat sat"


def test_bertscore_by_weights_and_by_a_language_model(tiny_encoder_folder: Path, tiny_folder: Any) -> None:
    folder = tiny_encoder_folder.parent
    beside = file({"near": {"use": "bertscore", "model": tiny_encoder_folder.name, "dtype": "float32"}}, folder=folder)
    plain = metric_named("near", beside)
    assert plain(ROWS).values == pytest.approx(
        metric_named("bertscore", file({}), {"model": str(tiny_encoder_folder)})(ROWS).values, abs=1e-5
    )
    assert str(folder) not in json.dumps(dict(plain.settings))  # a folder that is moved is the same one
    local = {"small": {"use": "local", "weights": str(tiny_folder()), "dtype": "float32"}}
    assert metric_named("n", file({"n": {"use": "bertscore", "model": "small"}}, local))(ROWS).values[0] < 1


def test_bartscore_in_every_direction(tiny_folder: Any, tmp_path: Path) -> None:
    by_hand = BartScore(Continues(Reader(tiny_folder(), dtype="float32", device="cpu"), "Say: {text}\n"))
    answers, references = [row["answer"] for row in ROWS], [row["reference"] for row in ROWS]
    told = by_hand.directions(answers, sources=[row["source"] for row in ROWS], references=references)
    for direction in ("faithfulness", "precision", "recall", "f"):
        table = {"use": "bartscore", "model": str(tiny_folder()), "direction": direction, "dtype": "float32"}
        metric = metric_named("bart", file({"bart": table | {"prompt": "Say: {text}\n"}}))
        assert metric(ROWS).values == pytest.approx(getattr(told, direction).values, abs=1e-5)
        assert metric.columns[1] == ("source" if direction == "faithfulness" else "reference")
        assert direction in metric.label
    weights = str(write_seq2seq(tmp_path / "bart", "bart"))
    assert metric_named("bartscore", file({}), {"model": weights})(ROWS).metric.startswith("bartscore (bart)")
    with pytest.raises(ConfigError, match="it takes no `prompt`"):
        metric_named("b", file({"b": {"use": "bartscore", "model": weights, "prompt": "{text}"}}))


def test_nli(tiny_encoder: Any, tmp_path: Path) -> None:
    weights = write_nli(tmp_path / "it", tiny_encoder.tokenizer, ("LABEL_0", "LABEL_1", "LABEL_2"))
    labels = {"contradiction": 0, "neutral": 1, "entailment": 2}
    metric = metric_named("nli", file({"nli": {"use": "nli", "model": str(weights), "labels": labels}}))
    assert metric.columns == ("answer", "source") and metric.label == "nli (it)"
    found = metric(ROWS)
    assert found.values + found.parts["neutral"] + found.parts["contradiction"] == pytest.approx(1)


def test_columns_that_a_table_leaves_open_are_the_command_line_s() -> None:
    models = file({"mine": {"use": "rouge1", "reference": "right"}})
    metric = metric_named("mine", models, {"candidate": "said", "reference": "other", "idf": True})
    assert metric.columns == ("said", "right")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"use": "bertscor"}, r"c.toml: \[metrics.m\]: unknown use 'bertscor'; did you mean 'bertscore'"),
        ({"model": "x"}, "the key 'use' is missing; known: rouge1"),
        ({"use": "bleu", "refrence": "x"}, "unknown key 'refrence'; did you mean 'reference'"),
        ({"use": "bartscore"}, "the key 'model' is missing"),
        ({"use": "bartscore", "model": "x", "prompt": "none"}, "needs the place"),
        ({"use": "bertscore", "long": "all"}, "long: "),
        ({"use": "bertscore", "seed": -1}, "seed: "),
    ],
)
def test_mistakes_in_a_table(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        file({"m": table})


def test_mistakes_in_names(tiny_encoder_folder: Path) -> None:
    recorded = {"r": {"use": "recorded", "path": "x.jsonl"}}
    encoder = {"e": {"use": "encoder", "weights": str(tiny_encoder_folder)}}
    with pytest.raises(ConfigError, match="no metric is called 'mone'; did you mean 'mine'"):
        metric_named("mone", file({"mine": {"use": "bleu"}}))
    with pytest.raises(ModelError, match="no model 'all-minilm'"):
        metric_named("m", file({"m": {"use": "bertscore", "model": "all-minilm"}}))
    beside = Path(__file__).parent
    models = Collaboration({"models": recorded, "metrics": {"m": {"use": "nli", "model": "r"}}}, folder=beside)
    with pytest.raises(ConfigError, match="is no classifier of pairs"):
        metric_named("m", models)
    with pytest.raises(ConfigError, match="says its dtype itself"):
        metric_named("m", file({"m": {"use": "bertscore", "model": "e", "dtype": "float32"}}, encoder))
