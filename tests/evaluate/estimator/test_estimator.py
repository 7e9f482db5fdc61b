"""A taught evaluator: learns what people like, is measured on other groups, and is the same when read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.evaluate.estimator import Estimator
from pilotfish.evaluate.estimator.features import combined, combined_width
from pilotfish.evaluate.estimator.linear import fitted
from pilotfish.train.settings import Fit
from tests.tiny import CORPUS

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

WORDS = sorted(set(" ".join(CORPUS).split()))[:40]


def rows(count: int, seed: int = 0) -> tuple[list[dict[str, Any]], np.ndarray, list[int]]:
    """People like answers that hold the reference's words; three answers an article."""
    dice = np.random.default_rng(seed)
    found, liked = [], []
    for _ in range(count):
        theirs = list(dice.choice(WORDS, 6, replace=False))
        kept = int(dice.integers(0, 7))
        mine = theirs[:kept] + list(dice.choice(WORDS, 6 - kept))
        found.append(
            {
                "reference": " ".join(theirs),
                "answer": " ".join(mine),
                "overlap": kept + dice.normal(),
                "noise": dice.normal(),
            }
        )
        liked.append(kept / 2 + 1)
    return found, np.array(liked), [number // 3 for number in range(count)]


def test_of_numbers_it_learns_which_count() -> None:
    some, liked, groups = rows(300)
    made = Estimator(numbers=["noise", "overlap"]).fit(some, liked, groups)
    assert abs(made.weight_[0]) < 0.1 < made.weight_[1]
    assert made.report_.pearson is not None and made.report_.pearson.low > 0.7
    assert made.report_.rows + made.report_.held_out == 300 and made.report_.held_out == pytest.approx(60, abs=3)
    told = made(some)
    assert np.corrcoef(told.values, liked)[0, 1] > 0.8 and told.values.mean() == pytest.approx(liked.mean(), abs=0.1)
    assert "Pearson" in str(made.report_)


def test_what_is_known_to_be_good_never_counts_against() -> None:
    some, liked, groups = rows(120)
    for row, one in zip(some, liked, strict=True):
        row["against"] = -one + np.random.default_rng(len(row["answer"])).normal()
    free = Estimator(numbers=["overlap", "against"]).fit(some, liked, groups)
    made = Estimator(numbers=["overlap", "against"], positive=True).fit(some, liked, groups)
    assert free.weight_[1] < -0.05 and made.weight_[1] == 0 and made.weight_[0] > 0


def test_texts_are_read_beside_and_against_each_other(tiny_encoder: Encoder) -> None:
    some, liked, groups = rows(200)
    made = Estimator(["reference", "answer"], encoder=tiny_encoder).fit(some, liked, groups)
    vectors = tiny_encoder.encode([some[0]["reference"], some[0]["answer"]]).astype(float)
    h, r = vectors[1], vectors[0]
    wanted = np.concatenate([h, r, h * r, abs(h - r)]) @ made.weight_ + made.bias_
    assert made(some[:1]).values[0] == pytest.approx(wanted, abs=1e-4)
    assert len(made.weight_) == combined_width(2, tiny_encoder.dimension) == 4 * tiny_encoder.dimension
    assert combined(vectors[None, 1:], lambda parts: np.concatenate(parts, 1)).shape == (1, tiny_encoder.dimension)
    alone = Estimator(["answer"], encoder=tiny_encoder).fit(some, liked, groups)
    assert len(alone.weight_) == tiny_encoder.dimension


def test_tuned_it_learns_and_the_given_encoder_stays(tiny_encoder: Encoder, tmp_path: Path) -> None:
    some, liked, groups = rows(240)
    before = {name: value.clone() for name, value in tiny_encoder.model.state_dict().items()}
    how = Fit(epochs=6, batch_tokens=512, rate=1e-3, dtype="float32")
    made = Estimator(["reference", "answer"], encoder=tiny_encoder, numbers=["noise"], how=how).fit(some, liked, groups)
    assert made.report_.steps and made.report_.penalty is None
    assert made.report_.pearson is not None and made.report_.pearson.low > 0.6
    assert made.encoder_ is not tiny_encoder
    # On people's scale, though it learnt on another.
    assert made(some).values.mean() == pytest.approx(liked.mean(), abs=0.3)
    assert all(torch.equal(value, before[name]) for name, value in tiny_encoder.model.state_dict().items())
    made.save(tmp_path / "it")
    again = Estimator.load(tmp_path / "it")
    assert again(some[:9]).values == pytest.approx(made(some[:9]).values, abs=1e-5)
    assert again.report_ == made.report_ and again.columns == ("reference", "answer")


def test_numbers_alone_are_saved_without_an_encoder(tmp_path: Path) -> None:
    some, liked, groups = rows(60)
    made = Estimator(numbers=["overlap"], name="mix").fit(some, liked, groups)
    made.save(tmp_path / "it")
    again = Estimator.load(tmp_path / "it")
    assert again(some).values.tolist() == made(some).values.tolist() and again(some).metric == "mix"
    assert not (tmp_path / "it" / "encoder").exists()
    (tmp_path / "it" / "head.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="not a saved estimator"):
        Estimator.load(tmp_path / "it")


def test_the_penalty_is_chosen_where_groups_are_left_out() -> None:
    # An article's features give its score away within it, and tell nothing of another's.
    dice = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 10)
    own = dice.normal(size=(30, 20))[groups]
    scores = dice.normal(size=30)[groups] + 0.1 * dice.normal(size=300)
    weights, _, penalty = fitted(own, scores, groups)
    tight, _, loose = fitted(own, scores, np.arange(300))
    assert penalty >= 100 * loose and np.linalg.norm(weights) < np.linalg.norm(tight) / 2


def test_a_group_is_learnt_from_or_measured_on() -> None:
    dice = np.random.default_rng(0)
    scores = np.repeat(dice.normal(size=20), 10)
    # Told apart within groups only: nothing holds for others.
    some = [{"a": float(dice.normal())} for _ in range(200)]
    made = Estimator(numbers=["a"]).fit(some, scores, list(np.repeat(np.arange(20), 10)))
    assert made.report_.held_out % 10 == 0 and made.report_.pearson is not None and made.report_.pearson.contains(0)


def test_bad_rows_and_settings_say_which(tiny_encoder: Encoder) -> None:
    some, liked, groups = rows(30)
    made = Estimator(numbers=["overlap"]).fit(some, liked, groups)
    for bad in (None, True, "7", float("nan")):
        with pytest.raises(DataError, match="row 2: column 'overlap' must be a finite number"):
            made([some[0], {**some[1], "overlap": bad}])
    read = Estimator(["reference", "answer"], encoder=tiny_encoder).fit(some, liked, groups)
    with pytest.raises(DataError, match="row 1: column 'answer' must be a text"):
        read([{**some[0], "answer": 3}])
    with pytest.raises(DataError, match="answer"):
        read([{"reference": "x"}])
    assert read([{**some[0], "answer": " "}]).notes == ["answer is empty"]
    assert len(read([])) == 0
    with pytest.raises(DataError, match="ten groups"):
        Estimator(numbers=["overlap"]).fit(some, liked, [0] * 30)
    with pytest.raises(DataError, match="all alike"):
        Estimator(numbers=["overlap"]).fit(some, np.ones(30))
    with pytest.raises(DataError, match="one finite score"):
        Estimator(numbers=["overlap"]).fit(some, [1.0])
    for wrong in (
        {"columns": ["answer"]},
        {},
        {"numbers": ["a"], "how": Fit()},
        {"columns": ["a"], "encoder": tiny_encoder, "positive": True},
        {"numbers": ["a"], "held_out": 1.0},
    ):
        with pytest.raises(ConfigError):
            Estimator(**wrong)
