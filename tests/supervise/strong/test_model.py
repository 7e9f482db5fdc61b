"""Strong models: what a probe and tuning learn of weak labels, early stopping, saving, bootstrapping."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.classify import ClassifierModel, TextClassifier, TfidfFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.supervise.strong.loss import Objective
from pilotfish.supervise.strong.model import StrongModel, bootstrapped, hard
from pilotfish.supervise.strong.probe import Probe
from pilotfish.train.lm_encoder import encoder_of_lm
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.conftest import TinyFolder

torch = pytest.importorskip("torch")

TOPICS = {"animals": "cat dog horse bird fish".split(), "tools": "hammer saw drill nail screw".split()}  # noqa: SIM905
FIT = Fit(epochs=6, batch_tokens=512, rate=1e-3, dtype="float32")


def rows(count: int, seed: int = 0) -> tuple[list[str], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    truth = random.integers(2, size=count)
    names = list(TOPICS.values())
    return [f"the {random.choice(names[k])} and the {random.choice(names[k])} {i}" for i, k in enumerate(truth)], truth


def weak_of(truth: NDArray[np.int64], wrong: float, seed: int = 1) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return np.eye(2)[np.where(random.random(len(truth)) < wrong, 1 - truth, truth)]


def right(model: StrongModel, seed: int = 9) -> float:
    texts, truth = rows(200, seed)
    return float((model.predict_proba(texts).argmax(axis=1) == truth).mean())


@pytest.mark.parametrize("objective", [Objective(), Objective(confidence=0.5), Objective(forget=0.2, smoothing=0.1)])
def test_a_probe_is_better_than_its_supervisor(objective: Objective) -> None:
    texts, truth = rows(400)
    labels = weak_of(truth, 0.25)
    labels[:50] = np.nan  # nobody said anything of these
    model = StrongModel(TfidfFeatures(), Probe(epochs=20, rows=64), objective).fit(texts, labels, ["animals", "tools"])
    assert right(model) > 0.9
    assert (model.report_.rows, model.report_.how, model.report_.steps) == (350, "probe", 120)
    assert model.report_.decay in Probe().decays
    assert model.predict(["the cat and the bird 7", "the saw and the nail 8"]) == ["animals", "tools"]


def test_soft_labels_are_learnt_as_they_are() -> None:
    texts = ["the cat"] * 50 + ["the saw"] * 50
    labels = np.repeat([[0.8, 0.2], [0.3, 0.7]], 50, axis=0)
    model = StrongModel(TfidfFeatures(), Probe(epochs=200, decays=(0.0,))).fit(texts, labels, ["a", "b"])
    np.testing.assert_allclose(model.predict_proba(["the cat", "the saw"]), [[0.8, 0.2], [0.3, 0.7]], atol=0.01)


def test_tuning_starts_from_a_probe(tiny_encoder: Encoder) -> None:
    texts, truth = rows(120)
    labels, classes = weak_of(truth, 0.0), ["animals", "tools"]
    start = Probe(epochs=20, decays=(1e-3,))
    probe = StrongModel(tiny_encoder, start).fit(texts, labels, classes)
    still = replace(FIT, epochs=1, rate=1e-12)
    model = StrongModel(tiny_encoder, still, start=start).fit(texts, labels, classes)
    np.testing.assert_allclose(model.coef_, probe.coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(texts[:9]), probe.predict_proba(texts[:9]), atol=1e-4)
    # Rows that stop it early are not in the probe either.
    early = StrongModel(tiny_encoder, replace(still, patience=1, evaluate_every=1), start=start, held_out=0.3)
    early.fit(texts, labels, classes)
    assert not np.allclose(early.coef_, probe.coef_, rtol=1e-4)
    with pytest.raises(ConfigError, match="starts from nothing"):
        StrongModel(tiny_encoder, Probe(), start=start)


def test_an_encoder_is_tuned_and_stays_as_it_was(tiny_encoder: Encoder, tmp_path: Path) -> None:
    texts, truth = rows(300)
    before = tiny_encoder.encode(texts[:3])
    model = StrongModel(tiny_encoder, FIT, folder=tmp_path / "runs")
    model.fit(texts, weak_of(truth, 0.2), ["animals", "tools"])
    assert right(model) > 0.9
    np.testing.assert_array_equal(tiny_encoder.encode(texts[:3]), before)
    assert model.report_.how == "all weights"
    model.save(tmp_path / "strong")
    again = StrongModel.load(tmp_path / "strong")
    assert isinstance(again, TextClassifier)
    np.testing.assert_allclose(again.predict_proba(texts[:20]), model.predict_proba(texts[:20]), atol=1e-5)
    file = Collaboration({"models": {"strong": {"use": "classifier", "path": "strong"}}}, folder=tmp_path)
    assert isinstance(file.model("strong"), ClassifierModel)
    with pytest.raises(ModelError, match="no strong model"):
        StrongModel.load(tmp_path)


def test_adapters_on_a_language_model_learn_and_are_merged(tiny_folder: TinyFolder, tmp_path: Path) -> None:
    lm = encoder_of_lm(tiny_folder("llama", "plain"), tmp_path / "lm", max_length=64)
    texts, truth = rows(300)
    how = replace(FIT, rank=8, rate=1e-2, epochs=15)
    model = StrongModel(lm, how, head_rate=1).fit(texts, weak_of(truth, 0.2), ["a", "t"])
    assert right(model) > 0.85
    assert model.report_.how == "adapters"
    model.save(tmp_path / "strong")
    assert not any("lora" in name for name in _weights(tmp_path / "strong"))
    again = StrongModel.load(tmp_path / "strong")
    np.testing.assert_allclose(again.predict_proba(texts[:20]), model.predict_proba(texts[:20]), atol=1e-4)


def _weights(folder: Path) -> list[str]:
    from safetensors import safe_open

    found: list[str] = []
    for path in folder.rglob("model.safetensors"):
        with safe_open(path, "np") as file:
            found += list(file.keys())
    assert found
    return found


def test_training_stops_early_by_weak_labels_kept_back(tiny_encoder: Encoder) -> None:
    texts, truth = rows(200)
    labels = weak_of(truth, 0.45)  # hardly more than chance: soon nothing but noise is learnt
    how = replace(FIT, epochs=40, evaluate_every=10, patience=2)
    model = StrongModel(tiny_encoder, how, held_out=0.2).fit(texts, labels, ["a", "t"])
    told = model.report_
    assert told.held_out == 40
    assert told.rows == 160
    whole = StrongModel(tiny_encoder, replace(how, patience=None)).fit(texts, labels, ["a", "t"]).report_
    assert told.best < told.steps < whole.steps


def test_a_killed_training_goes_on_as_if_it_had_not_been(tiny_encoder: Encoder, tmp_path: Path) -> None:
    texts, truth = rows(60)
    labels = weak_of(truth, 0.2)
    objective = Objective(confidence=0.7)
    how = replace(FIT, epochs=2, every=2)
    whole = StrongModel(tiny_encoder, how, objective).fit(texts, labels, ["a", "t"])
    kept = StrongModel(tiny_encoder, how, objective, folder=tmp_path).fit(texts, labels, ["a", "t"])
    again = StrongModel(tiny_encoder, how, objective, folder=tmp_path).fit(texts, labels, ["a", "t"])
    np.testing.assert_allclose(kept.predict_proba(texts), whole.predict_proba(texts), atol=1e-6)
    np.testing.assert_allclose(again.predict_proba(texts), whole.predict_proba(texts), atol=1e-6)


def test_bootstrapping_hands_labels_from_model_to_model() -> None:
    texts, truth = rows(300)
    labels = weak_of(truth, 0.25)
    labels[:100] = np.nan
    chain = [StrongModel(TfidfFeatures((1, n)), Probe(epochs=20, rows=64)) for n in (1, 2)]
    first, second = bootstrapped(chain, texts, labels, ["a", "t"])
    assert first.report_.rows == 200
    assert second.report_.rows == 300  # the first has labelled the others
    alone = StrongModel(TfidfFeatures((1, 2)), Probe(epochs=20, rows=64)).fit(
        texts, first.predict_proba(texts), ["a", "t"]
    )
    np.testing.assert_allclose(second.predict_proba(texts), alone.predict_proba(texts), atol=1e-6)


def test_hard_labels_share_ties() -> None:
    found = hard(np.array([[0.2, 0.8], [0.5, 0.5], [np.nan, np.nan]]))
    np.testing.assert_array_equal(found, [[0, 1], [0.5, 0.5], [np.nan, np.nan]])


def test_what_is_wrong_is_told(tiny_encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match="only an encoder can be tuned"):
        StrongModel(TfidfFeatures(), FIT)
    probe = StrongModel(TfidfFeatures())
    for labels, told in (
        (np.ones((2, 3)), "labels of that shape"),
        (np.array([[1.0, 0.0], [np.nan, 1.0]]), "row 2: a label is all probabilities or none"),
        (np.array([[1.0, 0.0], [0.4, 0.4]]), "row 2: its label is no probabilities: they add up to 0.8"),
        (np.array([[1.0, 0.0], [1.0, 0.0]]), "at least two classes"),
        (np.full((2, 2), np.nan), "at least two classes"),
    ):
        with pytest.raises(DataError, match=told):
            probe.fit(["a", "b"], labels, ["x", "y"])
    with pytest.raises(ConfigError):
        bootstrapped([], ["a"], np.eye(1), ["x"])
    for wrong in ({"epochs": 0}, {"decays": ()}, {"held_out": 1.0}):
        with pytest.raises(ConfigError):
            Probe(**wrong)
