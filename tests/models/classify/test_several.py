"""Several labels: heads are scikit-learn's, thresholds the best there are, cells are read, it answers as a model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish._sync import ask
from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.classify import (
    SeveralClassifier,
    SeveralLabeller,
    SeveralModel,
    SigmoidHead,
    TextClassifier,
    TfidfFeatures,
    load_classifier,
)
from pilotfish.models.classify.several import best_threshold, label_set
from tests.fakes import ScriptedModel

pytest.importorskip("sklearn")

TEXTS = ["card late", "refund money", "card late refund money", "song bird"] * 5
SETS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 5, bool)
LABELS = ["card", "refund"]


def classifier() -> SeveralClassifier:
    features = TfidfFeatures((1, 1)).fit(TEXTS)
    return SeveralClassifier(features, SigmoidHead().fit(features.transform(TEXTS), SETS, LABELS))


def test_each_label_is_a_logistic_regression_of_its_own() -> None:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    x = random.normal(size=(80, 5))
    sets = np.stack([x[:, 0] > 0, x[:, 1] + x[:, 2] > 1, np.ones(80, bool), np.zeros(80, bool)], axis=1)
    head = SigmoidHead(c=2.0).fit(x, sets, ["a", "b", "all", "none"])
    found = head.predict_proba(x)
    for i in range(2):
        plain = LogisticRegression(C=2.0, max_iter=1000).fit(x, sets[:, i])
        np.testing.assert_allclose(found[:, i], plain.predict_proba(x)[:, 1], atol=1e-5)
    np.testing.assert_allclose(found[:, 2], 80.5 / 81)
    np.testing.assert_allclose(found[:, 3], 0.5 / 81, rtol=1e-5)
    assert np.isfinite(head.predict_proba(x * 1e6)).all()


@given(st.lists(st.tuples(st.floats(0.001, 1), st.booleans()), min_size=1, max_size=25))
def test_the_threshold_has_the_best_f1(rows: list[tuple[float, bool]]) -> None:
    sure, have = np.array([p for p, _ in rows]), np.array([there for _, there in rows])
    if not have.any():
        return

    def f1(threshold: float) -> float:
        said = sure >= threshold
        return float(2 * (said & have).sum() / (said.sum() + have.sum()))

    found = best_threshold(sure, have)
    assert f1(found) == pytest.approx(max(f1(one) for one in np.unique(sure)))


def test_of_equal_thresholds_the_one_nearest_one_half_is_taken() -> None:
    assert best_threshold(np.array([0.9, 0.7, 0.1]), np.array([True, True, False])) == pytest.approx(0.4)
    head = classifier().head
    x = TfidfFeatures((1, 1)).fit(TEXTS).transform(TEXTS)
    head.tune(x, SETS)
    assert (head.said(head.predict_proba(x)) == SETS).all()
    rare = SigmoidHead().fit(x, SETS, LABELS).tune(x[:4], SETS[:4])
    np.testing.assert_array_equal(rare.thresholds_, 0.5)  # two rows of a label: their best is luck


def test_it_is_saved_and_told_from_one_of_one_label(tmp_path: Path) -> None:
    made = classifier()
    made.head.thresholds_ = np.array([0.3, 0.7])
    made.save(tmp_path / "a")
    again = load_classifier(tmp_path / "a")
    assert isinstance(again, SeveralClassifier)
    np.testing.assert_allclose(again.predict_proba(TEXTS), made.predict_proba(TEXTS), atol=1e-6)
    np.testing.assert_array_equal(again.head.thresholds_, [0.3, 0.7])
    TextClassifier(TfidfFeatures()).fit(TEXTS[:2], LABELS).save(tmp_path / "b")
    assert isinstance(load_classifier(tmp_path / "b"), TextClassifier)
    with pytest.raises(ModelError, match="tells of a text-classifier"):
        SeveralClassifier.load(tmp_path / "b")
    with pytest.raises(ModelError, match="not a saved classifier"):
        load_classifier(tmp_path)
    (tmp_path / "a" / "sigmoids.json").write_text('{"format": 1, "classes": ["card"], "c": 1}')
    with pytest.raises(ModelError, match="1 labels and weights"):
        load_classifier(tmp_path / "a")


def test_it_answers_as_a_model(tmp_path: Path) -> None:
    made = classifier()
    reply = ask(SeveralModel(made, "tags"), "card late refund money")
    assert json.loads(reply.text) == ["card", "refund"]
    assert json.loads(ask(SeveralModel(made), "song bird").text) == []
    sure = made.predict_proba(["card late refund money"])[0]
    assert reply.logprobs is not None
    assert math.exp(reply.logprobs[0].logprob) == pytest.approx(float(sure.prod()))
    assert {name: pytest.approx(math.exp(p)) for name, p in reply.logprobs[0].top} == dict(
        zip(made.classes_, sure, strict=True)
    )
    made.save(tmp_path / "tags")
    (tmp_path / "one.toml").write_text('[models.tags]\nuse = "classifier"\npath = "tags"\n')
    assert json.loads(ask(Collaboration.load(tmp_path / "one.toml").model(), "card late").text) == ["card"]


@pytest.mark.parametrize(
    ("cell", "separator", "labels"),
    [
        (["b", "a", "a"], None, ["a", "b"]),
        ('["b", "a"]', None, ["a", "b"]),
        ("a; b;", ";", ["a", "b"]),
        ("[a|b", "|", ["[a", "b"]),
        ("only one", None, ["only one"]),
        ("", None, []),
        ("  ", ";", []),
        (None, None, []),
        (float("nan"), None, []),
        (np.array(["b", "a"]), None, ["a", "b"]),
        ([1, 2], None, ["1", "2"]),
    ],
)
def test_cells_of_labels(cell: Any, separator: str | None, labels: list[str]) -> None:
    assert label_set(cell, separator) == labels


@pytest.mark.parametrize("cell", [{"a": 1}, 3.5, "[not json", [["a"]]])
def test_cells_that_are_no_labels(cell: Any) -> None:
    with pytest.raises(DataError, match="list"):
        label_set(cell)


def test_a_large_model_is_asked_of_each_label() -> None:
    def say(request: Any) -> str:
        system = request.messages[0].text
        word = "card" if "'card'" in system else "refund"
        return "Hm." if "odd" in request.prompt else "Yes." if word in request.prompt else "no"

    large = ScriptedModel(say)
    several = SeveralLabeller(large, LABELS)
    found, traces, failures = several.predict_proba(["card late", "card and refund", "odd", "song"])
    np.testing.assert_array_equal(found, [[1, 0], [1, 1], [0, 0], [0, 0]])
    assert failures == 2 and [len(trace.calls) for trace in traces] == [2] * 4
    assert several.predict(["card and refund"]) == [["card", "refund"]]
    reply = ask(several, "a refund")
    assert json.loads(reply.text) == ["refund"] and len(reply.trace.calls) == 2


def test_one_whose_weights_are_here_gives_probabilities(tiny_lm: Any) -> None:
    from pilotfish.models.classify import Labeller
    from pilotfish.models.classify.several_labeller import INSTRUCTION

    texts = ["my card is late", "refund the top up"]
    found, _, failures = SeveralLabeller(tiny_lm, LABELS, {"card": "the card"}).predict_proba(texts)
    assert not failures and ((found > 0) & (found < 1)).all()
    asked = Labeller(tiny_lm, ("yes", "no"), instruction=INSTRUCTION.format(name="'the card'")).predict(texts)
    assert asked.logprobs is not None
    np.testing.assert_allclose(found[:, 0], np.exp(asked.logprobs[:, 0]))
    least = {label: float(found[0, i]) for i, label in enumerate(LABELS)}
    assert SeveralLabeller(tiny_lm, LABELS, {"card": "the card"}, least).predict(texts[:1]) == [LABELS]


def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    wrongs: list[dict[str, Any]] = [
        {"labels": []},
        {"labels": LABELS, "thresholds": {"x": 0.5}},
        {"labels": LABELS, "names": {"x": "y"}},
    ]
    for wrong in wrongs:
        with pytest.raises(ConfigError, match="needs labels"):
            SeveralLabeller(ScriptedModel(), **wrong)
    (tmp_path / "said.jsonl").write_text(json.dumps({"prompt": "x", "reply": "yes"}) + "\n")
    head = '[models.a]\nuse = "recorded"\npath = "said.jsonl"\n[models.b]\nuse = "labeller"\nmodel = "a"\n'
    for line, said in (
        ("several = true\nmax_text = 3", "takes no `max_text`"),
        ("thresholds = { a = 0.2 }", "`thresholds` are of a labeller of several"),
    ):
        (tmp_path / "one.toml").write_text(f'{head}labels = ["a", "b"]\n{line}\n')
        with pytest.raises(ConfigError, match=said):
            Collaboration.load(tmp_path / "one.toml")
    (tmp_path / "one.toml").write_text(f'{head}labels = ["a", "b"]\nseveral = true\nthresholds = {{ a = 0.2 }}\n')
    assert isinstance(Collaboration.load(tmp_path / "one.toml").model("b"), SeveralLabeller)
