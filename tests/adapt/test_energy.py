from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pilotfish.adapt.energy import Energy, EnergyReport, Ranked, nce_loss
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.encoder import Encoder
from pilotfish.train.settings import Fit

torch = pytest.importorskip("torch")
FIT = Fit(epochs=8, batch_tokens=1024, rate=1e-3, dtype="float32")


def rows(count: int, seed: int = 0) -> list[Ranked]:
    """Polite answers are right, beside one to three that are not."""
    random = np.random.default_rng(seed)
    words = "the cat horse hammer saw drill bird fish".split()  # noqa: SIM905
    found = []
    for i in range(count):
        said = [" ".join(random.choice(words, 3)) for _ in range(2 + i % 3)]
        wrong = tuple(f"bad {one}" for one in said[1:])
        found.append(Ranked(f"what is {words[i % 8]} {i}", f"please {said[0]}", wrong))
    return found


def test_the_loss_is_the_right_answers_share_among_those_that_are_there() -> None:
    scores = torch.tensor([[1.0, 0.0, 2.0], [0.5, -0.5, 9.0]], dtype=torch.float64)
    found = nce_loss(scores, torch.tensor([2, 1]), 0.1)
    one = -math.log(math.e / (math.e + 1 + math.e**2)) + 0.1 * (1 + 0 + 4) / 3
    two = -math.log(math.exp(0.5) / (math.exp(0.5) + math.exp(-0.5))) + 0.1 * (0.25 + 0.25) / 2
    assert found.tolist() == pytest.approx([one, two])


def test_a_place_that_is_filled_up_has_no_gradient() -> None:
    scores = torch.tensor([[0.5, -0.5, 9.0]], requires_grad=True)
    nce_loss(scores, torch.tensor([1]), 0.1).sum().backward()
    assert scores.grad[0, 2] == 0 and scores.grad[0, 0] < 0 < scores.grad[0, 1]


def test_what_is_right_is_learnt_and_saved(tiny_encoder: Encoder, tmp_path: Path) -> None:
    energy = Energy(tiny_encoder, FIT, held_out=0.2).fit(rows(160))
    told = energy.report_
    assert told.rows + told.held_out == 160
    assert told.first is not None and told.chance is not None
    assert told.first.value > 0.9 > 0.5 > told.chance
    assert "the right answer is first" in str(told)
    energy.save(tmp_path / "energy")
    again = Energy.load(tmp_path / "energy")
    assert isinstance(again.report_, EnergyReport) and again.report_ == told
    answers = ["please the cat", "bad the cat"]
    np.testing.assert_allclose(again("what is a cat", answers), energy("what is a cat", answers), atol=1e-4)


def test_rows_that_teach_nothing_are_refused(tiny_encoder: Encoder) -> None:
    good = Ranked("p", "a", ("b",))
    for some, what in (
        ([good], "at least two rows"),
        ([good, Ranked("q", "a", ())], "row 2: there is no wrong answer"),
        ([good, Ranked("q", "a", ("b", "a"))], "row 2: its right answer stands among"),
    ):
        with pytest.raises(DataError, match=what):
            Energy(tiny_encoder, FIT).fit(some)
    with pytest.raises(ConfigError, match="square and held_out"):
        Energy(tiny_encoder, square=-1)
    with pytest.raises(ConfigError, match="head_rate"):
        Energy(tiny_encoder, head_rate=0)
