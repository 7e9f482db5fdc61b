"""The bag: its steps are those of the gradient, in C as in numpy; it learns, is saved; unknown words count nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.classify import BagFeatures, SoftmaxHead, TextClassifier
from pilotfish.models.classify._native import bag_library
from pilotfish.models.classify.bag import epochs_for

SAID = {
    "refund": ["I want a refund", "give my money back, a refund", "refund the top up", "money back please"],
    "card": ["where is my card", "my card has not arrived", "the card is late", "card never came"],
}
TEXTS = [text for texts in SAID.values() for text in texts]
LABELS = [label for label, texts in SAID.items() for _ in texts]
TARGETS = np.array([[label == "card", label == "refund"] for label in LABELS], np.float32)


@pytest.mark.parametrize("weights", [np.ones(8), np.array([0.5, 2, 1, 0, 1, 1, 0.25, 1])])
def test_c_takes_the_steps_that_numpy_takes(weights: np.ndarray) -> None:
    if bag_library() is None:
        pytest.skip("no C compiler here")
    targets = TARGETS * weights[:, None].astype(np.float32)
    made = []
    for native in (True, False):
        bag = BagFeatures(8)
        output = bag.learn(bag.read(TEXTS), targets, epochs=5, seed=3, native=native)
        made.append((bag, output))
    (fast, a), (plain, b) = made
    np.testing.assert_array_equal(fast.bucket_, plain.bucket_)
    np.testing.assert_allclose(a, b, atol=2e-5)
    np.testing.assert_allclose(fast.vectors_, plain.vectors_, atol=2e-5)


def test_a_step_is_the_gradient_of_the_cross_entropy() -> None:
    torch = pytest.importorskip("torch")
    bag = BagFeatures(4, ngram=1, characters=(0, 0))
    target = np.array([[0.2, 0.5, 0.1]], np.float32)  # soft, and worth .8 of a row
    found = bag.read(["one two three"])
    # Two epochs: the first step leaves the layer above zero, so that the second one moves the vectors as well.
    output = bag.learn(found, target, epochs=2, rate=0.5, seed=1, native=False)
    random = np.random.default_rng(1)
    first = random.uniform(-1, 1, (4, 4)).astype(np.float32) / 4
    vectors, layer = torch.tensor(first, requires_grad=True), torch.zeros(3, 4, requires_grad=True)
    for rate in (0.5, 0.25):
        logs = torch.log_softmax(layer @ vectors.mean(dim=0), dim=0)
        loss = -(torch.tensor(target[0]) * logs).sum()
        slopes = torch.autograd.grad(loss, (vectors, layer))
        with torch.no_grad():
            vectors -= rate * slopes[0]
            layer -= rate * slopes[1]
    np.testing.assert_allclose(bag.vectors_, vectors.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(output, layer.detach().numpy(), atol=1e-6)


def taught() -> TextClassifier:
    bag = BagFeatures(16)
    head = SoftmaxHead()
    head.coef_ = bag.learn(bag.read(TEXTS), TARGETS, epochs=100)
    head.intercept_, head.classes_, head.temperature_ = np.zeros(2, np.float32), ["card", "refund"], 1.0
    return TextClassifier(bag, head)


def test_it_learns_and_is_saved(tmp_path: Path) -> None:
    made = taught()
    assert made.predict(TEXTS) == LABELS
    # A word with a slip in it shares n-grams of characters with the one that was learnt.
    assert made.predict(["refundd", "cards"]) == ["refund", "card"]
    made.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(TEXTS), made.predict_proba(TEXTS))
    sent = pickle.loads(pickle.dumps(made.features))
    np.testing.assert_array_equal(sent.transform(TEXTS), made.features.transform(TEXTS))


def test_what_was_never_seen_counts_nothing() -> None:
    bag = taught().features
    assert isinstance(bag, BagFeatures)
    found = bag.transform(["日本語", "", "qqq zzz"])
    np.testing.assert_array_equal(found[0], found[2])  # the mark of a text's end is all that is known of them
    np.testing.assert_array_equal(found[1], 0)
    one = bag.transform(["card"])
    np.testing.assert_allclose(one.mean(), bag.transform(["card"] * 600).mean(), rtol=1e-5)  # in parts as in one


def test_means_are_those_of_the_known_buckets() -> None:
    bag = taught().features
    assert isinstance(bag, BagFeatures)
    texts = ["my card, unheard of", "", "refund refund", "日本"]
    found = bag.read(texts)
    place = {int(one): i for i, one in enumerate(bag.bucket_)}
    for row, text in enumerate(texts):
        own = [place[int(one)] for one in found.at([row]).bucket if int(one) in place]
        wanted = bag.vectors_[own].mean(axis=0) if own else np.zeros(16)
        np.testing.assert_allclose(bag.transform(texts)[row], wanted, atol=1e-6, err_msg=text)


def test_a_seed_is_a_result() -> None:
    outputs = [BagFeatures(8).learn(BagFeatures(8).read(TEXTS), TARGETS, epochs=3, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-4


def test_few_texts_are_shown_often_and_many_five_times() -> None:
    assert [epochs_for(n) for n in (1, 600, 5000, 10_000, 10**6)] == [100, 84, 10, 5, 5]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"characters": (3, 2)}, "1 to 16 words or characters"),
        ({"characters": (0, 3)}, "1 to 16 words or characters"),
        ({"ngram": 0}, "1 to 16 words or characters"),
        ({"bits": 40}, "1 to 16 words or characters"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BagFeatures(**settings).read(TEXTS)  # type: ignore[arg-type]


def test_what_cannot_be_learnt_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="learnt with labels"):
        BagFeatures().fit(TEXTS)
    with pytest.raises(ConfigError, match="epochs and dimension"):
        BagFeatures().learn(BagFeatures().read(TEXTS), TARGETS, rate=0.0)
    with pytest.raises(DataError, match="none of the 2 training texts"):
        BagFeatures().learn(BagFeatures().read(["", " "]), TARGETS[:2])
    taught().save(tmp_path)
    (tmp_path / "bag.json").write_text('{"dimension": 3, "ngram": 2, "characters": [3, 5], "bits": 21}')
    with pytest.raises(ModelError, match="not saved bag features"):
        TextClassifier.load(tmp_path)
