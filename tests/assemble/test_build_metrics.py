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
from pilotfish.evaluate.claims import Claims
from pilotfish.evaluate.likelihood import BartScore, Continues
from pilotfish.models.reader import Reader
from pilotfish.rows._row import Row
from tests.evaluate.test_likelihood import write_seq2seq
from tests.evaluate.test_nli import write_nli
from tests.fakes import ScriptedModel

pytest.importorskip("torch")
ROWS: list[Row] = [
    {"answer": "the cat sat", "reference": ["the cat", "a mat"], "source": "the cat sat on the mat"},
    {"answer": "where is it", "reference": "where is my card", "source": "my card is not here"},
]
BY_WORDS = ("rouge", "bleu", "chrf", "exact-match", "word-f1")


def file(metrics: dict[str, Any], models: dict[str, Any] | None = None, folder: Path | None = None) -> Collaboration:
    return Collaboration({"metrics": metrics, "models": models or {}}, where="c.toml", folder=folder)


def test_every_kind_has_a_class_and_a_function() -> None:
    assert set(METRICS.values()) == set(BUILD)


@pytest.mark.parametrize("name", [name for name in METRICS if name.startswith(BY_WORDS)])
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


def test_moverscore_consistency_yes_no_and_perplexity(
    tiny_encoder: Any, tiny_encoder_folder: Path, tiny_folder: Any, tmp_path: Path
) -> None:
    from pilotfish.evaluate.consistency import Consistency
    from pilotfish.evaluate.fluency import Perplexity
    from pilotfish.evaluate.mover import MoverScore
    from pilotfish.evaluate.nli import Nli
    from pilotfish.evaluate.yes_no import YesNo
    from pilotfish.models.local import LocalModel

    answers, sources = [row["answer"] for row in ROWS], [row["source"] for row in ROWS]
    references = [row["reference"] for row in ROWS]
    encoder, local = str(tiny_encoder_folder), str(tiny_folder())
    nli = str(write_nli(tmp_path / "nli", tiny_encoder.tokenizer))
    tables = {
        "moved": {"use": "moverscore", "model": encoder, "n": 2, "idf": True, "dtype": "float32"},
        "borne": {"use": "consistency", "model": nli, "sizes": [1]},
        "asked": {"use": "yes-no", "model": local, "question": "{source} so {text}?", "dtype": "float32"},
        "plain": {"use": "perplexity", "model": local, "dtype": "float32"},
    }
    made = {name: metric_named(name, file(tables)).fitted(iter(ROWS)) for name in tables}
    mover = MoverScore(tiny_encoder, n=2)
    flat = ["the cat", "a mat", "where is my card"]
    by_hand = {
        "moved": MoverScore(tiny_encoder, n=2, idf=Idf.over(flat, mover.states))(answers, references),
        "borne": Consistency(Nli(nli), sizes=(1,))(sources, answers),
        "asked": YesNo(LocalModel(local, dtype="float32"), "{source} so {text}?")(sources, answers),
        "plain": Perplexity(Reader(local, dtype="float32"))(answers),
    }
    for name, metric in made.items():
        assert metric(ROWS).values == pytest.approx(by_hand[name].values, abs=1e-5), name
    assert not made["plain"].higher and made["asked"].higher


def test_claims_and_selfcheck_ask_a_model_of_the_file_once(tiny_encoder: Any, tmp_path: Path) -> None:
    nli = str(write_nli(tmp_path / "nli", tiny_encoder.tokenizer))
    prompts = [Claims(ScriptedModel(), tmp_path).request(str(row["answer"])).prompt for row in ROWS]
    recorded = [{"prompt": one, "reply": '{"claims": ["the cat sat"]}'} for one in prompts]
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(one) + "\n" for one in recorded))
    models = {"big": {"use": "recorded", "path": "said.jsonl"}}
    tables: dict[str, Any] = {
        "claimed": {"use": "claims", "model": "big", "checker": nli, "store": "kept"},
        "checked": {"use": "selfcheck", "way": "prompt", "model": "big"},
    }
    made = metric_named("claimed", file(tables, models, tmp_path))(ROWS)
    assert made.parts["claims"].tolist() == [1, 1] and (tmp_path / "kept" / "claims.sqlite").is_file()
    (tmp_path / "said.jsonl").write_text(json.dumps({"prompt": "another", "reply": "none"}) + "\n")
    again = metric_named("claimed", file(tables, models, tmp_path))(ROWS)
    assert again.values.tolist() == made.values.tolist()
    for wrong, why in (
        ({"use": "selfcheck", "way": "nli"}, "every other way needs one"),
        ({"use": "selfcheck", "model": "big"}, "needs no `model`"),
        ({"use": "yes-no", "model": "x", "question": "no place"}, "no place for a column|x"),
    ):
        with pytest.raises((ConfigError, ModelError), match=why):
            metric_named("m", file({"m": wrong}))


def test_selfcheck_and_semantic_entropy_by_tables(tiny_encoder: Any, tiny_encoder_folder: Path, tmp_path: Path) -> None:
    nli = str(write_nli(tmp_path / "nli", tiny_encoder.tokenizer))
    rows = [row | {"samples": ["the cat sat", "a dog"]} for row in ROWS]
    tables: dict[str, Any] = {
        "n": {"use": "selfcheck"},
        "b": {"use": "selfcheck", "way": "bertscore", "model": str(tiny_encoder_folder)},
        "i": {"use": "selfcheck", "way": "nli", "model": nli},
        "e": {"use": "semantic-entropy"},
        "m": {"use": "semantic-entropy", "model": nli},
    }
    for name in tables:
        metric = metric_named(name, file(tables))
        found = metric(rows)
        assert len(found) == 2 and not metric.higher and set(found.notes) == {""}
    assert metric_named("e", file(tables))(rows).parts["meanings"].tolist() == [2, 2]
    assert metric_named("n", file(tables))(rows).values[0] < metric_named("n", file(tables))(rows).values[1]
