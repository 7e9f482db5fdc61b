"""Soft demonstrations: labels of rows that were not learnt from, and a large model that has the last word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Reply, Request, TokenLogprob
from pilotfish.models.classify import ClassifierModel, TextClassifier, TfidfFeatures
from pilotfish.models.classify.head import fit_temperature, softmax
from pilotfish.models.local import LocalModel
from pilotfish.prompt.demonstrate import ByChance, ByWords, Chooser
from pilotfish.prompt.soft import WHY, SoftDemonstration, SuperICL, out_of_fold, soft_demonstrations
from pilotfish.prompt.soft.model import pool_of
from pilotfish.rows._shingles import normalised
from tests.fakes import ScriptedModel

LABELS = ["pos", "neg"]
SHOWN = [
    SoftDemonstration("a fine song", "pos", "pos", 0.875),
    SoftDemonstration("not a fine song", "neg", "pos", 0.6),
    SoftDemonstration("a bad song", "neg", "neg"),
    SoftDemonstration("odd", "neg", None),
]
TEXTS = [f"good film number {at}" for at in range(12)] + [f"bad film number {at}" for at in range(12)]
TRUTH = ["pos"] * 12 + ["neg"] * 12


class Spied:
    """A classifier that remembers what it learnt from and refuses to be asked about it."""

    def __init__(self) -> None:
        self.inner = TextClassifier(TfidfFeatures())
        self.seen: set[str] = set()

    def fit(self, texts: list[str], labels: list[str]) -> Spied:
        self.seen = {normalised(text) for text in texts}
        self.inner.fit(texts, labels)
        return self

    @property
    def head(self) -> Any:
        return self.inner.head

    @property
    def classes_(self) -> list[str]:
        return self.inner.classes_

    def predict_proba(self, texts: list[str]) -> Any:
        assert not self.seen & {normalised(text) for text in texts}
        return self.inner.predict_proba(texts)


def test_no_row_is_labelled_by_a_model_that_saw_it_nor_a_copy() -> None:
    texts, truth = [*TEXTS, "GOOD film, number 3!"], [*TRUTH, "pos"]
    make: Any = Spied
    classes, found = out_of_fold(make, texts, truth, 4)
    assert classes == ["neg", "pos"] and found.shape == (25, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    again = out_of_fold(make, texts, truth, 4)[1]
    np.testing.assert_array_equal(found, again)
    made, taught = soft_demonstrations(make, texts, truth, 4)
    assert [one.text for one in made] == texts and [one.label for one in made] == truth
    logits = np.log(found.clip(min=1e-12))
    heat = fit_temperature(logits, np.array([classes.index(label) for label in truth]))
    for one, row in zip(made, softmax(logits / heat), strict=True):
        assert one.predicted == classes[int(row.argmax())] and one.confidence == pytest.approx(row.max(), abs=1e-6)
    seen: Any = taught
    assert seen.head.temperature_ == heat != 1
    assert seen.seen == {normalised(text) for text in texts}


def test_a_label_that_a_fold_lacks_has_no_probability() -> None:
    texts, truth = [*TEXTS, "the only odd one"], [*TRUTH, "odd"]
    classes, found = out_of_fold(lambda: TextClassifier(TfidfFeatures()), texts, truth, 5)
    assert found[-1][classes.index("odd")] == 0
    with pytest.raises(DataError, match="24 texts but 1"):
        out_of_fold(lambda: TextClassifier(TfidfFeatures()), TEXTS, ["pos"])


def sure(label: str, probability: float = 0.9) -> Reply:
    token = TokenLogprob(label, float(np.log(probability)), ((label, float(np.log(probability))),))
    return Reply(label, logprobs=(token,))


def model(large: Any, small: Any, k: int = 2, **settings: Any) -> SuperICL:
    return SuperICL(large, small, LABELS, SHOWN, Chooser(ByWords(pool_of(SHOWN)), k), **settings)


def test_the_large_one_sees_what_the_small_one_says() -> None:
    large = ScriptedModel("Positive", name="large")
    small = ScriptedModel([sure("neg", 0.75)], name="small")
    made = model(large, small, names={"pos": "positive", "neg": "negative"})
    reply = ask(made, "a fine day and a fine film")
    (seen,) = large.requests
    said = [message.text for message in seen.messages]
    assert "- positive\n- negative" in said[0]
    # The nearest stands last.
    assert said[-3:] == [
        "Text: a fine song\nThe small model's prediction: positive (confidence: 0.88)",
        "positive",
        "Text: a fine day and a fine film\nThe small model's prediction: negative (confidence: 0.75)",
    ]
    assert "Text: not a fine song\nThe small model's prediction: positive (confidence: 0.60)" in said
    assert reply.text == "pos"
    assert [call.model for call in reply.trace.calls] == ["small", "large"]
    decision = reply.trace.decisions[-1]
    assert decision.verdict == "not the small model's label" and decision.score == pytest.approx(0.75)


def test_a_small_one_without_a_label_or_a_probability() -> None:
    large = ScriptedModel("neg")
    ask(model(large, ScriptedModel("it is hard to say"), k=4), "odd")
    asked = large.requests[0].prompt
    assert asked.endswith("The small model's prediction: none")
    assert any(one.text.endswith("The small model's prediction: neg") for one in large.requests[0].messages)
    reply = ask(model(large, ScriptedModel("I take it for neg.")), "x")
    assert large.requests[1].prompt == "Text: x\nThe small model's prediction: neg"
    assert reply.trace.decisions[-1].verdict == "the small model's label"


def test_an_answer_without_a_label_is_no_guess() -> None:
    reply = ask(model(ScriptedModel("maybe"), ScriptedModel([sure("pos")])), "x")
    assert reply.text == "maybe" and reply.finish_reason == "parse_failure"
    assert len(reply.trace.calls) == 2


@pytest.mark.parametrize(
    ("reasons", "said", "asked"), [("overrides", "neg", True), ("overrides", "pos", False), ("all", "pos", True)]
)
def test_reasons_are_asked_for(reasons: str, said: str, asked: bool) -> None:
    large = ScriptedModel([said, " It says so. "], name="large")
    reply = ask(model(large, ScriptedModel([sure("pos")]), reasons=reasons), "x")
    assert reply.text == (f"{said}\n\nIt says so." if asked else said)
    assert len(reply.trace.calls) == (3 if asked else 2)
    if asked:
        assert [one.text for one in large.requests[1].messages[-2:]] == [said, WHY]


def test_probabilities_are_read_where_they_are(tiny_lm: LocalModel) -> None:
    small = ClassifierModel(TextClassifier(TfidfFeatures()).fit(TEXTS, TRUTH), name="small")
    made = model(tiny_lm, small, k=1)
    texts = ["good song", "bad song"]
    found = made.predict(texts)
    assert found.logprobs is not None and found.truncated == 0
    for text, row, label, trace in zip(texts, found.logprobs, found.labels, found.traces, strict=True):
        told = ask(small, text)
        assert told.logprobs is not None
        (chosen,) = made.chooser.choose([text])
        request = made.request(text, told.text, float(np.exp(told.logprobs[0].logprob)), chosen.places)
        raw = tiny_lm.choices([tiny_lm.render(request)], LABELS)[0]
        np.testing.assert_allclose(row, raw - np.logaddexp.reduce(raw), atol=1e-4)
        assert label == LABELS[int(row.argmax())]
        assert [call.role for call in trace.calls] == ["classifier", "labeller"]
    one = ask(made, texts[0])
    assert one.text == found.labels[0] and one.logprobs is not None
    assert [label for label, _ in one.logprobs[0].top] == [LABELS[at] for at in np.argsort(-found.logprobs[0])]


def test_what_does_not_fit_is_cut_demonstrations_first(tiny_lm: LocalModel) -> None:
    small = ScriptedModel(lambda _: sure("pos"))
    long = [*SHOWN, *(SoftDemonstration(f"long {at} " * 60, "pos", "pos", 0.9) for at in range(3))]
    made = SuperICL(tiny_lm, small, LABELS, long, Chooser(ByChance(pool_of(long)), 7))
    found = made.predict(["short", "word " * 2000])
    assert found.truncated_rows == [True, True]
    assert all(trace.calls[-1].tokens_in <= tiny_lm.max_length for trace in found.traces)


def test_many_at_once_by_answers() -> None:
    large = ScriptedModel(lambda request: "neg" if "bad" in request.prompt else "what?")
    found = model(large, ScriptedModel(lambda _: sure("pos"))).predict(["bad", "good"])
    assert found.labels == ["neg", None] and found.failures == 1
    assert all(len(trace.calls) == 2 for trace in found.traces)


def test_rows_are_read_and_written() -> None:
    for one in SHOWN:
        assert SoftDemonstration.of(one.to_json()) == one
    good = SHOWN[0].to_json()
    for change in ({"text": ""}, {"label": None}, {"predicted": 3}, {"confidence": 1.5}, {"confidence": "sure"}):
        with pytest.raises(DataError, match="row 7"):
            SoftDemonstration.of({**good, **change}, 7)
    with pytest.raises(DataError, match="row 7"):
        SoftDemonstration.of({"text": "x", "label": "pos"}, 7)


def test_what_is_wrong_is_told() -> None:
    other = [SoftDemonstration("x", "pos", "pos")]
    with pytest.raises(ConfigError, match="none here"):
        SuperICL(ScriptedModel(), ScriptedModel(), LABELS, other, Chooser(ByWords(pool_of(SHOWN))))
    with pytest.raises(ConfigError, match="not among the labels"):
        SuperICL(ScriptedModel(), ScriptedModel(), ["pos", "other"], SHOWN, Chooser(ByWords(pool_of(SHOWN))))
    with pytest.raises(ConfigError, match="reasons"):
        model(ScriptedModel(), ScriptedModel(), reasons="why not")
    with pytest.raises(ConfigError, match="n = 2"):
        ask(model(ScriptedModel("pos"), ScriptedModel([sure("pos")])), Request.of("x", n=2))
