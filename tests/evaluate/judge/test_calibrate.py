"""Calibration: curves against closed forms and brute force, errors that are honest, a file; agreement with people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.evaluate.judge import Calibrated, Curve, agreement, calibrate, errors
from pilotfish.evaluate.scores import Scores

PAIRS = st.lists(st.tuples(st.integers(1, 5), st.integers(-3, 3)), min_size=1, max_size=6)


def scores(values: object) -> Scores:
    return Scores("a judge", np.asarray(values, np.float64))


@given(rows=PAIRS)
def test_isotonic_is_the_best_that_never_falls(rows: list[tuple[int, int]]) -> None:
    """By the formula of minima of maxima of means (Barlow et al., 1.5)."""
    x, y = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    curve = Curve.fit(x, y)
    values = np.unique(x)
    for at, value in enumerate(values):
        expected = min(
            max(float(y[(x >= low) & (x <= high)].mean()) for low in values[: at + 1]) for high in values[at:]
        )
        assert curve([value])[0] == pytest.approx(expected, abs=1e-9)
    assert (np.diff(curve(np.linspace(0, 6, 30))) >= -1e-12).all()


@given(rows=PAIRS)
def test_a_line_is_that_of_least_squares_within_people_s_range(rows: list[tuple[int, int]]) -> None:
    x, y = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    curve = Curve.fit(x, y, "linear")
    slope, offset = np.polyfit(x, y, 1) if np.ptp(x) > 0 else (0.0, y.mean())
    at = np.linspace(-2, 9, 12)
    assert curve(at) == pytest.approx(np.clip(offset + slope * at, y.min(), y.max()), abs=1e-6)


def test_a_number_for_each_score() -> None:
    curve = Curve.fit([1, 1, 3, 3], [0, 0, 1, 1], "per-class")
    # Two rows of the overall mean, .5, stand beside each score's own.
    assert curve([1, 3]).tolist() == [(0 + 2 * 0.5) / 4, (2 + 2 * 0.5) / 4]
    assert curve([-9, 1.9, 2.1, 9]).tolist() == [0.25, 0.25, 0.75, 0.75]


def test_errors_by_hand() -> None:
    found = errors([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0])
    assert found.bias.value == -0.25 and found.mse.value == 0.25
    assert found.ece.value == pytest.approx(0.25)
    assert found.pearson.value == pytest.approx(np.corrcoef([0, 0, 1, 1], [0, 1, 1, 1])[0, 1])
    assert found.pearson.low <= found.pearson.value <= found.pearson.high
    flat = errors([2.0, 2.0], [2.0, 2.0])
    assert (flat.ece.value, flat.pearson.value, flat.mse.value) == (0, 0, 0)


@pytest.mark.parametrize("how", ["isotonic", "linear", "per-class"])
def test_a_judge_that_is_off_is_brought_to_people_s_scale(how: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    people = random.integers(1, 6, 400).astype(float)
    said = np.clip(np.round(people / 2 + 5 + random.normal(size=400)), 1, 10)
    found = calibrate(scores(said), people, how)  # type: ignore[arg-type]
    assert found.before.bias.low > 2 and abs(found.after.bias.value) < 0.2
    assert found.after.mse.high < found.before.mse.low and found.after.ece.value < found.before.ece.value / 4
    assert found.gain.low > 0
    found.save(tmp_path / "calibration.json")
    again = Calibrated.load(tmp_path / "calibration.json")
    assert again == found and str(again) == str(found)
    fixed = again(scores(said))
    assert fixed.metric == f"a judge, {how}"
    assert abs(fixed.values.mean() - people.mean()) < 0.1
    with pytest.raises(DataError, match="says nothing of another"):
        again(Scores("another", said))


def test_what_is_reported_of_noise_is_honest() -> None:
    """A judge that knows nothing: the curve on its own rows looks better than it is, the cross-fitted one does not."""
    random = np.random.default_rng(3)
    x, y = random.random(60), random.random(60)
    fitted = float(((Curve.fit(x, y)(x) - y) ** 2).mean())
    honest = calibrate(scores(x), y).after.mse.value
    assert fitted < y.var() < honest


def test_rows_of_a_group_are_never_on_both_sides() -> None:
    """Copies: with their groups told, a curve that learns rows by heart gains nothing by them."""
    random = np.random.default_rng(4)
    x, y = np.repeat(random.random(40), 5), np.repeat(random.random(40), 5)
    groups = np.repeat(np.arange(40), 5)
    apart = calibrate(scores(x), y, "per-class", groups=groups)
    mixed = calibrate(scores(x), y, "per-class")
    assert mixed.after.mse.value < 0.6 * apart.after.mse.value
    assert apart.before.mse.n == 40 and mixed.before.mse.n == 200


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a calibration is one of"):
        calibrate(scores([1, 2]), [1, 2], "cubic")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="same rows"):
        calibrate(scores([1, 2]), [1])
    with pytest.raises(DataError, match="not finite"):
        calibrate(scores([1, 2]), [1, float("nan")])
    with pytest.raises(DataError, match="must be numbers"):
        calibrate(scores([1, 2]), ["good", "bad"])
    with pytest.raises(DataError, match="cannot be dealt into 2 folds"):
        calibrate(scores([1, 2]), [1, 2], groups=["a", "a"])
    with pytest.raises(DataError, match="at least one row"):
        Curve.fit([], [])
    (tmp_path / "c.json").write_text(json.dumps({"format": 1, "curve": {"how": "x", "scores": [], "people": []}}))
    with pytest.raises(ModelError, match="not a saved calibration of a judge"):
        Calibrated.load(tmp_path / "c.json")


def test_agreement_with_people() -> None:
    found = agreement([1, 1, 0, -1, 1], [1, -1, 0, -1, 0])
    assert found.rows == 5 and found.same.value == 0.6
    assert found.decided is not None and found.decided.value == pytest.approx(2 / 3) and found.decided.n == 3
    assert found.kappa.value == pytest.approx((0.6 - 0.28) / (1 - 0.28))
    assert found.weighted is not None and json.dumps(found.to_json())
    words = agreement(["good", "bad"], ["good", "good"], pairs=False)
    assert words.weighted is None and words.decided is None and "kappa" in str(words)
    assert agreement([1, 1, 0, 0], [1, 1, 1, 1], groups=[0, 0, 1, 1]).same.n == 2
    with pytest.raises(DataError, match="there are 1 and 2"):
        agreement([1], [1, 2])
