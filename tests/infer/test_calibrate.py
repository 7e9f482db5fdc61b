"""Calibration: promises hold over fresh rows as often as they say, parts stay apart, files come back."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.infer.calibrate import Calibration, Promise, calibrate, parted, threshold
from tests.infer.trials import made

SCORE = {"score": "mean-logprob"}


def test_parts_are_apart_and_whole() -> None:
    parts = parted(103, 5)
    assert sorted(np.concatenate(parts).tolist()) == list(range(103))
    assert [len(part) for part in parts] == [21, 51, 31]
    with pytest.raises(DataError, match="too few"):
        parted(4, 0)


@pytest.mark.parametrize("method", ["finite", "normal"])
@pytest.mark.parametrize(("what", "share"), [("quality", 0.95), ("cost", 0.4)])
def test_a_promise_is_broken_no_more_often_than_it_says(method: str, what: str, share: float) -> None:
    whole = made(60_000, seed=1)
    promise = Promise(what, share, risk=0.2, method=method)  # type: ignore[arg-type]
    wrong, spent, runs = 0, [], 100
    for seed in range(runs):
        rows = np.random.default_rng(seed).choice(len(whole), 800, replace=False)
        part = whole.take(rows)
        outcome = whole.cascaded(threshold(part.take(range(200, 800)), part.scores[200:], part.scores[:200], promise))
        quality = outcome.quality.mean() / whole.grades[:, 1].mean()
        cost = outcome.cost.mean() / whole.costs[:, 1].mean()
        wrong += quality < share if what == "quality" else cost > share
        spent.append(cost)
    # Three standard errors above the risk itself.
    assert wrong / runs <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / runs)
    assert np.mean(spent) < 0.9 if what == "quality" else np.mean(spent) > 0.2  # and it is of use


def test_a_score_that_knows_nothing_defers_more_than_one_that_knows() -> None:
    promise = Promise("quality", 0.95, method="normal")
    blind, seeing = (calibrate(made(4000, knows=knows), promise, score=SCORE) for knows in (0.0, 3.0))
    assert blind.deferred > seeing.deferred + 0.2
    assert seeing.spent.value < blind.spent.value
    assert seeing.kept.value == pytest.approx(seeing.quality.value / seeing.best.value)
    assert sum(seeing.shares) == pytest.approx(1.0)


def test_what_cannot_be_promised_goes_to_the_last_model_or_is_refused() -> None:
    few = made(40)
    found = calibrate(few, Promise("quality", 0.999), score=SCORE)
    assert found.above == math.inf
    assert found.kept.value == 1.0
    assert found.shares == (0.0, 1.0)
    with pytest.raises(DataError, match="even the first model alone is not shown"):
        calibrate(few, Promise("cost", 0.001), score=SCORE)


def test_without_prices_the_last_model_s_calls_are_the_cost() -> None:
    trials = made(3000)
    unpriced = replace(trials, costs=np.full_like(trials.costs, np.nan))
    found = calibrate(unpriced, Promise("cost", 0.3, method="normal"), score=SCORE)
    assert not found.paid
    assert found.spent.value == pytest.approx(found.shares[1])
    assert 0.15 < found.shares[1] < 0.33


def test_learned_scores_take_the_place_of_the_trial_s() -> None:
    trials = made(2000, knows=0.0)
    told = trials.grades[:, :1] + np.random.default_rng(3).normal(0, 0.2, (2000, 1))
    promise = Promise("quality", 0.97, method="normal")
    assert calibrate(trials, promise, score=SCORE, scores=told).deferred < 0.5
    with pytest.raises(DataError, match="no score"):
        calibrate(replace(trials, scores=trials.scores[:, :0]), promise, score=SCORE)


def test_qualities_beyond_their_bounds_are_told() -> None:
    trials = made(50)
    graded = replace(trials, grades=trials.grades * 10)
    with pytest.raises(DataError, match="from 0 to 10"):
        calibrate(graded, Promise("quality", 0.9), score=SCORE)
    calibrate(graded, Promise("quality", 0.9), score=SCORE, bounds=(0, 10))


@pytest.mark.parametrize("share", [0.9, 0.999])  # the second has no threshold
def test_a_calibration_comes_back_from_its_file(share: float, tmp_path: Path) -> None:
    found = calibrate(made(60), Promise("quality", share), score=SCORE)
    found.save(tmp_path / "c.json")
    again = Calibration.load(tmp_path / "c.json")
    assert again == found
    (tmp_path / "c.json").write_text('{"format": 9}')
    with pytest.raises(ConfigError, match="format 9"):
        Calibration.load(tmp_path / "c.json")
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(ConfigError, match="not a calibration"):
        Calibration.load(tmp_path / "c.json")
