"""Features and a head together, and as a Model."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pilotfish._sync import ask
from pilotfish.errors import ModelError
from pilotfish.model import Delta, Message, Model, Request
from pilotfish.models.classify import ClassifierModel, EncoderFeatures, Features, SoftmaxHead, TextClassifier
from pilotfish.models.classify.features import StaticFeatures, TfidfFeatures
from pilotfish.models.encoder import Encoder

pytest.importorskip("sklearn")

SAID = {
    "refund": ["I want a refund", "give my money back, a refund", "refund the top up"],
    "card_arrival": ["where is my card", "my card has not arrived", "the card is late"],
    "exchange rate": ["the exchange rate is wrong", "which rate do you use", "exchange rate of today"],
}
TEXTS = [text for texts in SAID.values() for text in texts]
LABELS = [label for label, texts in SAID.items() for _ in texts]


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("own_home")
@pytest.mark.parametrize("kind", ["tfidf", "encoder", "static"])
def test_a_saved_classifier_says_the_same(tmp_path: Path, tiny_encoder: Encoder, kind: str) -> None:
    kinds: dict[str, Features] = {
        "tfidf": TfidfFeatures(),
        "encoder": EncoderFeatures(tiny_encoder),
        "static": StaticFeatures(tiny_encoder, 32),
    }
    classifier = TextClassifier(kinds[kind], SoftmaxHead(c=100.0)).fit(TEXTS, LABELS)
    assert classifier.classes_ == sorted(SAID)
    assert classifier.predict(TEXTS) == LABELS
    folder = tmp_path / "saved"
    classifier.save(folder)
    again = TextClassifier.load(folder)
    np.testing.assert_allclose(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS), atol=1e-6)
    assert again.predict(TEXTS) == LABELS
    np.testing.assert_allclose(classifier.predict_proba(TEXTS).sum(axis=1), 1)


def test_a_classifier_is_a_model(tiny_encoder: Encoder) -> None:
    classifier = TextClassifier(EncoderFeatures(tiny_encoder)).fit(TEXTS, LABELS)
    model = ClassifierModel(classifier, name="students")
    assert isinstance(model, Model)
    request = Request((Message("system", "Sort."), Message("user", "where is my card"), Message("assistant", "hm")))
    reply = ask(model, request)
    assert reply.text == "card_arrival"
    assert reply.logprobs is not None
    (token,) = reply.logprobs
    probabilities = classifier.predict_proba(["where is my card"])[0]
    assert [label for label, _ in token.top] == [classifier.classes_[i] for i in np.argsort(-probabilities)]
    assert math.exp(token.logprob) == pytest.approx(probabilities.max())
    assert sum(math.exp(logprob) for _, logprob in token.top) == pytest.approx(1)
    assert reply.mean_logprob == token.logprob
    (call,) = reply.trace.calls
    assert (call.model, call.role, call.tokens_in, call.tokens_out, call.cost) == ("students", "classifier", 0, 0, 0.0)
    assert call.seconds > 0

    async def deltas() -> list[Delta]:
        return [delta async for delta in model.stream(request)]

    (delta,) = asyncio.run(deltas())
    assert delta.text == "card_arrival"


def test_a_probability_of_nothing_is_a_number_still() -> None:
    classifier = TextClassifier(TfidfFeatures(), SoftmaxHead(c=1e6)).fit(TEXTS, LABELS)
    classifier.head.temperature_ = 1e-4
    token = (ask(ClassifierModel(classifier), TEXTS[0]).logprobs or ())[0]
    assert all(math.isfinite(logprob) for _, logprob in token.top)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "classifier.json").unlink(), "not a saved classifier"),
        (lambda f: (f / "classifier.json").write_text("{"), "not a saved classifier"),
        (lambda f: (f / "classifier.json").write_text("{}"), "not a saved classifier"),
        (lambda f: (f / "classifier.json").write_text("[]"), "not a saved classifier"),
        (lambda f: (f / "classifier.json").write_text('{"features": "magic"}'), "unknown kind 'magic'"),
        (lambda f: (f / "tfidf.json").unlink(), "not saved tfidf features"),
        (lambda f: (f / "head.safetensors").write_bytes(b""), "not a saved classifier head"),
    ],
)
def test_a_damaged_folder_is_one_line(tmp_path: Path, change: Callable[[Path], object], said: str) -> None:
    TextClassifier(TfidfFeatures()).fit(TEXTS, LABELS).save(tmp_path)
    change(tmp_path)
    with pytest.raises(ModelError, match=said) as caught:
        TextClassifier.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_save_that_breaks_off_over_an_older_one_leaves_nothing_to_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = TextClassifier(TfidfFeatures()).fit(TEXTS, LABELS)
    classifier.save(tmp_path)
    assert json.loads((tmp_path / "classifier.json").read_text())["features"] == "tfidf"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SoftmaxHead, "save", full)
    with pytest.raises(OSError, match="No space"):
        classifier.save(tmp_path)
    with pytest.raises(ModelError, match="not a saved classifier"):
        TextClassifier.load(tmp_path)
