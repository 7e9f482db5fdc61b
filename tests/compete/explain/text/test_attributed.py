"""What words add, by each way: it is what the classifier computes, it adds up, and is nothing where nothing counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.explain.text import (
    LabellerReads,
    attributed,
    integrated_gradients,
    reads_of,
    rollout,
    way_for,
    word_importance,
)
from pilotfish.compete.explain.text.network import network_of
from pilotfish.compete.explain.text.reads import contrast, logits_of
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.classify import ClassifierModel, Labeller
from pilotfish.models.reader import Reader
from tests.compete.explain.text.help import ASKED, headed, table
from tests.fakes import ScriptedModel

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", ["ngrams", "tfidf"])
def test_a_table_is_explained_exactly(kind: str, classes: int) -> None:
    reads = table(kind, classes)
    told = attributed(reads, [*ASKED, "", "İstanbul card"])
    logs = logits_of(reads, [one.text for one in told])
    for one, own in zip(told, logs, strict=True):
        said = reads.classes_.index(one.label)
        assert said == own.argmax() and one.probability == pytest.approx(np.exp(own[said]))
        assert one.value == pytest.approx(own @ contrast(classes, said))
        assert one.residual is not None and one.residual < 1e-6
        assert sum(share for _, share in one.parts) + one.base == pytest.approx(one.value, abs=1e-6)
    assert told[0].ranked()[0][0] in ("card", "arrived")
    assert told[0].words == ["my", "card", "has", "not", "arrived"] and told[4].words == []


def test_what_is_explained_may_be_another_class() -> None:
    reads = table()
    (own,) = attributed(reads, ASKED[:1])
    (other,) = attributed(reads, ASKED[:1], labels=["cat"])
    assert own.label == "card" and other.label == "cat" and other.value < 0 < own.value
    with pytest.raises(ConfigError, match="'dog' is none"):
        attributed(reads, ASKED[:1], labels=["dog"])
    with pytest.raises(ConfigError, match="ways"):
        attributed(reads, ASKED, "magic")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="gradients"):
        attributed(reads, ASKED, "gradients")
    with pytest.raises(DataError):
        contrast(1, 0)


def test_of_a_straight_line_gradients_are_weights_times_way() -> None:
    torch = need("torch", "local")
    weights = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    start, end = torch.zeros(2, 2), torch.tensor([[2.0, 1.0], [4.0, -1.0]])
    found, low, high = integrated_gradients(lambda x: (x * weights).sum(dim=(1, 2)), start, end)
    np.testing.assert_allclose(found, ((end - start) * weights).sum(dim=1), atol=1e-6)
    assert high - low == pytest.approx(found.sum())


def test_of_a_product_gradients_are_halves() -> None:
    """x*y from nought: each has half of it, whatever the values (Sundararajan et al. 2017, symmetry)."""
    torch = need("torch", "local")
    end = torch.tensor([[3.0], [5.0]])
    found, low, high = integrated_gradients(lambda x: x[:, 0, 0] * x[:, 1, 0], torch.zeros(2, 1), end)
    np.testing.assert_allclose(found, [7.5, 7.5], atol=1e-5)
    assert (low, high) == (0.0, 15.0)


@pytest.mark.parametrize("classes", [2, 3])
def test_an_encoders_words_add_up(tiny_encoder: Encoder, classes: int) -> None:
    reads = headed(tiny_encoder, classes)
    assert way_for(reads) == "gradients"
    for one in attributed(reads, ASKED):
        assert one.residual is not None and one.residual < 0.02 * max(1.0, abs(one.value - one.base))
        assert abs(one.rest) < 1e-6  # special tokens stand in the text of blanks too
        assert len(one.shares) == len(one.words)


def test_the_peer_finds_the_same(tiny_encoder: Encoder) -> None:
    captum = pytest.importorskip("captum.attr")
    torch = need("torch", "local")
    reads = headed(tiny_encoder)
    network = network_of(reads)
    tokens = network.read(ASKED[0])
    end = network.embed(tokens.ids)
    start = network.embed([network.blank if own else i for i, own in zip(tokens.ids, tokens.own, strict=True)])
    weigh = torch.tensor(contrast(3, 0), dtype=torch.float32)

    def value(points: Any) -> Any:
        return network.logits(points, tokens) @ weigh

    wanted = captum.IntegratedGradients(value).attribute(end[None], start[None], n_steps=64, method="gausslegendre")
    found, *_ = integrated_gradients(value, start, end, steps=64, most=64)
    np.testing.assert_allclose(found, wanted[0].sum(dim=1).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["model", "reader"])
def test_a_language_models_words_add_up(kind: str, tiny_lm: LocalModel, tiny_folder: Callable[..., Path]) -> None:
    reads = headed(tiny_lm if kind == "model" else Reader(tiny_folder(), dtype="float32", device="cpu"))
    for one in attributed(reads, ASKED[:2], "gradients"):
        assert one.residual is not None and one.residual < 0.05 * max(1.0, abs(one.value - one.base))


@pytest.mark.parametrize("labels", [["card", "cat"], ["refund", "refund status", "cat"]])
def test_a_labellers_words_add_up(tiny_lm: LocalModel, labels: list[str]) -> None:
    reads = reads_of(Labeller(tiny_lm, labels, examples=[("where is it", labels[0])]))
    assert isinstance(reads, LabellerReads)
    network = network_of(reads)
    tokens = network.read(ASKED[0])
    text = ASKED[0]
    assert "".join(text[a:b] for (a, b), own in zip(tokens.spans, tokens.own, strict=True) if own).strip() == text
    (one,) = attributed(reads, [text])
    assert one.way == "gradients" and one.residual is not None
    assert one.residual < 0.05 * max(1.0, abs(one.value - one.base))
    assert one.value == pytest.approx(logits_of(reads, [text])[0] @ contrast(len(labels), labels.index(one.label)))


def test_a_prior_is_part_of_what_is_said(tiny_lm: LocalModel) -> None:
    labeller = Labeller(tiny_lm, ["card", "cat"]).calibrate(ASKED)
    (one,) = attributed(reads_of(labeller), ASKED[:1])
    assert one.base + one.shares.sum() + one.rest == pytest.approx(one.value, abs=0.05 * max(1, abs(one.value)))


def test_a_network_that_goes_another_way_is_not_explained(tiny_encoder: Encoder) -> None:
    reads = headed(tiny_encoder)

    class Other:
        classes_ = reads.classes_
        features, head = reads.features, reads.head

        def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
            return np.tile([0.98, 0.01, 0.01], (len(texts), 1))

    from pilotfish.compete.explain.text.gradients import by_gradients

    with pytest.raises(ModelError, match="another way"):
        by_gradients(network_of(reads), Other(), ASKED[:1])


def test_rollout_is_the_product_of_layers() -> None:
    rng = np.random.default_rng(0)
    layers = [rng.random((2, 4, 4)) for _ in range(3)]
    layers = [one / one.sum(axis=2, keepdims=True) for one in layers]
    wanted = np.eye(4)
    for one in layers:
        wanted = (0.5 * one.mean(axis=0) + 0.5 * np.eye(4)) @ wanted
    found = rollout(layers)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(rollout([np.eye(3)[None]]), np.eye(3))


def test_what_flows_is_a_share_of_one(tiny_encoder: Encoder, tiny_lm: LocalModel) -> None:
    for reads in (headed(tiny_encoder), headed(tiny_lm), reads_of(Labeller(tiny_lm, ["card", "cat"]))):
        before = reads.predict_proba(ASKED[:1])
        (one,) = attributed(reads, ASKED[:1], "rollout")
        assert (one.shares >= 0).all() and one.shares.sum() + one.rest == pytest.approx(1, abs=1e-5)
        assert one.residual is None
        np.testing.assert_allclose(reads.predict_proba(ASKED[:1]), before, atol=1e-6)


def test_a_causal_models_later_words_flow_nowhere_early(tiny_lm: LocalModel) -> None:
    network = network_of(headed(tiny_lm))
    layers, _ = network.attentions(network.read(ASKED[1]))
    flow = rollout([one.double().numpy() for one in layers])
    assert np.abs(np.triu(flow, 1)).max() < 1e-6


def test_a_word_left_out_takes_what_it_added() -> None:
    reads = table()
    (one,) = attributed(reads, ["refund wait"], "occlusion")
    logs = logits_of(reads, ["refund wait", "wait", "refund"])
    by = contrast(3, reads.classes_.index(one.label))
    np.testing.assert_allclose(one.shares, logs[0] @ by - logs[1:] @ by, atol=1e-9)
    assert attributed(reads, [""], "occlusion")[0].shares.size == 0


def test_importance_is_a_mean_over_texts() -> None:
    told = attributed(table(), ["Card card", "cat"])
    found = word_importance(told)
    assert found["card"] == pytest.approx(float(np.abs(told[0].shares).sum()) / 2)
    assert list(found) == sorted(found, key=lambda word: -found[word])


def test_what_cannot_be_explained_is_told() -> None:
    with pytest.raises(ModelError, match="no probabilities"):
        reads_of(Labeller(ScriptedModel(), ["a", "b"]))
    with pytest.raises(ModelError, match="no classifier"):
        reads_of(ScriptedModel())
    assert reads_of(ClassifierModel(table())).classes_ == ["card", "cat", "refund"]
