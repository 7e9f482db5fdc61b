"""An encoder is taught planted pairs: it finds others of their kind better, and what is saved is a plain folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pilotfish.compete.phrases.characters import WithCharacters
from pilotfish.compete.phrases.learn import PhraseLearner, between
from pilotfish.compete.phrases.pair import Pair
from pilotfish.compete.phrases.pooling import Repooled, repooled
from pilotfish.compete.phrases.taught import FILE, Taught, taught_encoder
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.classify.features import EncoderFeatures, load_features
from pilotfish.models.encoder import Encoder
from pilotfish.retrieve import Encoders, Index
from pilotfish.train.settings import Fit

WORDS = ["cat", "mat", "dog", "bird", "song", "sea", "refund", "card", "category", "text", "rate", "wrong", "exchange"]
# A word says what a phrase is about, and the others nothing: what is planted is which of them count.
PAIRS = [Pair(f"{a} {b} on the", f"and it did not {b} {a}", "planted") for a in WORDS for b in WORDS if a < b]
HOW = Fit(epochs=8, batch_tokens=256, rate=1e-3, dtype="float32", evaluate_every=8, patience=4)


@pytest.fixture(scope="module")
def taught(tiny_encoder: Encoder) -> PhraseLearner:
    return PhraseLearner(tiny_encoder, HOW, characters=(0.0, 0.2), held_out=0.2).fit(PAIRS)


def test_other_pairs_are_found_better(taught: PhraseLearner) -> None:
    report = taught.report_
    assert report.gain.low > 0 and report.after.value > report.before.value
    assert report.pairs + report.validation + report.test + report.left_out == len(PAIRS)
    assert report.share > 0 and report.shares["1"] < report.shares["0"] and report.kinds == {"planted": report.pairs}
    assert str(report.pairs) in str(report) and Taught.from_json(report.to_json()) == report


def test_the_encoder_that_it_started_from_stays(tiny_encoder: Encoder, taught: PhraseLearner) -> None:
    fresh = Encoder(tiny_encoder.weights, device="cpu")
    np.testing.assert_array_equal(fresh.encode(["the cat"]), tiny_encoder.encode(["the cat"]))
    assert not np.allclose(taught.encoder_.encode(["the cat"]), tiny_encoder.encode(["the cat"]), atol=1e-3)
    assert not Path(taught.encoder_.weights).exists()


def test_what_is_saved_is_what_whoever_names_an_encoder_takes(taught: PhraseLearner, tmp_path: Path) -> None:
    taught.save(tmp_path / "out")
    vectors, report = taught_encoder(tmp_path / "out")
    wanted = taught.encoder_.encode(["the cat", "wrong"])
    assert report == taught.report_ and isinstance(vectors, WithCharacters) == (report.characters > 0)
    plain = Encoder(tmp_path / "out" / "encoder", device="cpu")
    np.testing.assert_allclose(plain.encode(["the cat", "wrong"]), wanted, atol=1e-6)
    # An index's dense way, and a classifier's features.
    with Index.create(
        tmp_path / "index", ["dense"], encoders=Encoders(dense=str(tmp_path / "out" / "encoder"))
    ) as index:
        assert index.way("dense").rank(["cat"], 1).rows.tolist() == [[-1]]
    EncoderFeatures(plain).save(tmp_path / "features")
    again = load_features("encoder", tmp_path / "features")
    np.testing.assert_allclose(again.transform(["the cat", "wrong"]), wanted, atol=1e-6)
    (tmp_path / "out" / FILE).unlink()
    with pytest.raises(ModelError, match="not a saved phrase encoder"):
        taught_encoder(tmp_path / "out")


def test_other_poolings_and_adapters_are_taught_too(tiny_encoder: Encoder, tmp_path: Path) -> None:
    start = repooled(tiny_encoder, "last-2")
    how = Fit(steps=3, batch_tokens=512, rate=1e-3, dtype="float32", rank=4)
    learner = PhraseLearner(start, how, shares=(1.0,), types="shape", folder=tmp_path / "run").fit(PAIRS)
    assert isinstance(learner.encoder_, Repooled) and isinstance(start, Repooled)
    assert learner.encoder_.identity != start.identity and learner.report_.steps == 3
    assert not np.allclose(learner.encoder_.encode(["cat"]), start.encode(["cat"]), atol=1e-5)
    learner.save(tmp_path / "out")
    plain = Encoder(tmp_path / "out" / "encoder", device="cpu")
    np.testing.assert_allclose(plain.encode(["cat"]), learner.encoder_.encode(["cat"]), atol=1e-6)
    # The same pairs again take the checkpoint, another temperature does not.
    assert len(list((tmp_path / "run").iterdir())) == 1
    PhraseLearner(start, how, shares=(1.0,), types="shape", folder=tmp_path / "run").fit(PAIRS)
    assert len(list((tmp_path / "run").iterdir())) == 1
    PhraseLearner(start, how, temperature=0.1, shares=(1.0,), types="shape", folder=tmp_path / "run").fit(PAIRS)
    assert len(list((tmp_path / "run").iterdir())) == 2


def test_types_come_from_the_user_or_from_letters(tiny_encoder: Encoder) -> None:
    pairs = [Pair("NATO", "north text"), Pair("cat", "a [MASK] sat", "sentence")]
    names, types = PhraseLearner(tiny_encoder, types="shape")._types(pairs)
    assert names == ["abbreviation", "term"] and types.tolist() == [[0, 1], [1, -1]]
    names, types = PhraseLearner(tiny_encoder, types={"nato": "pact", "Cat": "animal"})._types(pairs)
    assert names == ["animal", "pact"] and types.tolist() == [[1, -1], [0, -1]]
    names, types = PhraseLearner(tiny_encoder, types={"nato": "pact"})._types(pairs)
    assert names == [] and (types == -1).all()  # one type tells nothing apart


def test_between_two_encoders_lie_their_means(tiny_encoder: Encoder) -> None:
    other = tiny_encoder.copied()
    with torch.no_grad():
        for value in other.model.parameters():
            value.add_(1.0)
    half = between(tiny_encoder, other, 0.25)
    for mine, its in zip(half.model.parameters(), tiny_encoder.model.parameters(), strict=True):
        torch.testing.assert_close(mine, its + 0.25)


def test_a_training_that_does_not_help_keeps_the_encoder(tiny_encoder: Encoder) -> None:
    how = Fit(steps=2, batch_tokens=256, rate=1.0, clip=None, warmup=0.0, dtype="float32")
    # These are near from the start, for the same words make nearly the same mean.
    easy = [Pair(f"{a} {b}", f"{b} {a}") for a in WORDS for b in WORDS if a < b]
    learner = PhraseLearner(tiny_encoder, how, shares=(0.0, 1.0)).fit(easy)
    assert learner.report_.shares["0"] < learner.report_.shares["1"]
    assert learner.report_.share == 0.0 and learner.report_.gain.value == 0.0
    np.testing.assert_allclose(learner.encoder_.encode(["cat"]), tiny_encoder.encode(["cat"]), atol=1e-6)


def test_settings_out_of_range_are_said(tiny_encoder: Encoder) -> None:
    for wrong in ({"temperature": 0.0}, {"held_out": 0.5}, {"shares": ()}, {"shares": (2.0,)}, {"type_weight": -1}):
        with pytest.raises(ConfigError):
            PhraseLearner(tiny_encoder, **wrong)
    with pytest.raises(DataError, match="too few"):
        PhraseLearner(tiny_encoder).fit(PAIRS[:5])
