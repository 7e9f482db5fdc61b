"""Reward models: the loss against its formula, preferences that are learnt, and what is saved."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.best_of import reward_of
from pilotfish.models.encoder import Encoder
from pilotfish.train.reward import Pair, RewardModel, preference_loss, text_of
from pilotfish.train.settings import Fit

torch = pytest.importorskip("torch")

FIT = Fit(epochs=8, batch_tokens=1024, rate=1e-3, dtype="float32")


def pairs(count: int, seed: int = 0) -> list[Pair]:
    """Polite answers are preferred, longer or shorter."""
    random = np.random.default_rng(seed)
    words = "the cat horse hammer saw drill bird fish".split()  # noqa: SIM905
    found = []
    for i in range(count):
        said = " ".join(random.choice(words, 3))
        polite, rude = f"please {said}", f"nonsense {said}"
        found.append(Pair(f"what is {words[i % 8]} {i}", polite, rude + (" the" if i % 2 else "")))
    return found


def test_the_loss_is_bradley_terry_s() -> None:
    chosen, rejected = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 1.0, 1.0])
    found = preference_loss(chosen, rejected, torch.tensor([0.0, 0.0, 0.5]), 0.1)
    expected = [
        -math.log(1 / (1 + math.exp(-gap))) + 0.1 * total**2 for gap, total in ((1.0, 1.0), (-1.0, 1.0), (0.5, 3.0))
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_preferences_are_learnt_and_saved(tiny_encoder: Encoder, tmp_path: Path) -> None:
    before = tiny_encoder.encode(["please the cat"])
    model = RewardModel(tiny_encoder, FIT, held_out=0.2).fit(pairs(160))
    told = model.report_
    assert told.pairs + told.held_out == 160
    assert told.accuracy is not None
    assert told.accuracy.value > 0.9
    assert told.by_length is not None
    assert told.by_length.value < 0.7
    np.testing.assert_array_equal(tiny_encoder.encode(["please the cat"]), before)
    scores = model("what is a cat", ["please the cat", "nonsense the cat"])
    assert scores[0] > scores[1]
    assert abs(sum(scores)) < 6  # drawn towards 0
    model.save(tmp_path / "reward")
    again = RewardModel.load(tmp_path / "reward")
    np.testing.assert_allclose(
        again("what is a cat", ["please", "no"]), model("what is a cat", ["please", "no"]), atol=1e-4
    )
    assert again.report_ == told
    assert reward_of(again, None, "x") is again
    assert again("x", []) == []
    assert "prefers as people do" in str(told)


def test_pairs_of_a_prompt_stay_together_and_a_killed_training_goes_on(tiny_encoder: Encoder, tmp_path: Path) -> None:
    some = [Pair(f"prompt {i // 4}", f"good {i}", f"bad {i}") for i in range(40)]
    how = Fit(epochs=1, batch_tokens=512, rate=1e-3, dtype="float32", every=1)
    model = RewardModel(tiny_encoder, how, held_out=0.3, folder=tmp_path).fit(some)
    assert model.report_.held_out % 4 == 0
    again = RewardModel(tiny_encoder, how, held_out=0.3, folder=tmp_path).fit(some)
    np.testing.assert_allclose(again("p", ["good 1", "bad 1"]), model("p", ["good 1", "bad 1"]), atol=1e-6)
    assert text_of("a", "b") == "a\n\nb"


def test_a_margin_asks_for_a_wider_gap(tiny_encoder: Encoder) -> None:
    plain = pairs(60)
    wide = [Pair(one.prompt, one.chosen, one.rejected, 4.0) for one in plain]
    gaps = []
    for some in (plain, wide):
        model = RewardModel(tiny_encoder, FIT, held_out=0).fit(some)
        assert model.report_.accuracy is None
        a, b = model(plain[0].prompt, [plain[0].chosen, plain[0].rejected])
        gaps.append(a - b)
    assert gaps[1] > gaps[0]


def test_what_is_wrong_is_told(tiny_encoder: Encoder, tmp_path: Path) -> None:
    model = RewardModel(tiny_encoder, FIT)
    with pytest.raises(DataError, match="pair 2: both answers are the same"):
        model.fit([Pair("a", "b", "c"), Pair("a", "b", "b")])
    with pytest.raises(DataError, match="pair 1: a margin"):
        model.fit([Pair("a", "b", "c", -1), Pair("a", "b", "d")])
    with pytest.raises(DataError, match="at least two pairs"):
        model.fit([Pair("a", "b", "c")])
    with pytest.raises(ConfigError):
        RewardModel(tiny_encoder, centre=-1)
    with pytest.raises(ModelError, match="not a saved reward model"):
        RewardModel.load(tmp_path)
