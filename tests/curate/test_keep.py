"""Rows kept by their scores: from a threshold on, the best share, drawn."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.curate import curate
from pilotfish.curate.quality import HashedClassifier, Quality, QualityShare
from pilotfish.curate.quality.keep import nth_largest, pareto
from pilotfish.errors import ConfigError, DataError, ModelError
from tests.curate.quality_texts import both

TEXTS, GOOD = both(600)
ROWS: list[dict[str, Any]] = [{"id": place, "text": text} for place, text in enumerate(both(300, seed=5)[0])]


@pytest.fixture(scope="module")
def fitted() -> HashedClassifier:
    return HashedClassifier().fit(TEXTS, GOOD)


def ids(folder: Path) -> list[int]:
    return [json.loads(line)["id"] for line in (folder / "kept.jsonl").read_text().splitlines()]


def test_a_threshold(fitted: HashedClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    report = curate(
        [*ROWS, {"id": -1, "text": " "}], [Quality(tmp_path / "model", threshold=0.5)], tmp_path / "out", progress=False
    )
    scores = fitted.score([row["text"] for row in ROWS])
    assert ids(tmp_path / "out") == [row["id"] for row, score in zip(ROWS, scores, strict=True) if score >= 0.5]
    assert report.steps[0].reasons.keys() == {"quality.threshold", "quality.empty"}
    kept = json.loads((tmp_path / "out" / "kept.jsonl").read_text().splitlines()[0])
    assert 0.5 <= kept["score"] <= 1
    dropped = [json.loads(line) for line in (tmp_path / "out" / "dropped.jsonl").read_text().splitlines()]
    assert all("score" in one["row"] for one in dropped if "threshold" in one["reason"]), "a dropped row has it too"
    assert report.steps[0].scores is not None and sum(report.steps[0].scores["kept"]) == report.kept


def test_the_best_share_is_exact(fitted: HashedClassifier, tmp_path: Path) -> None:
    report = curate(ROWS, [QualityShare(fitted, 0.1)], tmp_path, progress=False)
    scores = fitted.score([row["text"] for row in ROWS])
    assert set(ids(tmp_path)) == set(np.argsort(-scores)[:30].tolist()) and report.kept == 30
    assert (report.steps[0].rows_in, report.steps[0].dropped) == (300, 270)
    assert not (tmp_path / "steps" / "1" / "look").exists()


def test_empty_texts_are_dropped_where_rows_are_scored(fitted: HashedClassifier, tmp_path: Path) -> None:
    report = curate([*ROWS, {"id": -1, "text": ""}], [QualityShare(fitted, 0.5)], tmp_path, progress=False)
    assert report.steps[0].reasons == {"quality.empty": 1, "quality.share": 150} and len(report.steps) == 1
    assert (report.steps[0].rows_in, report.steps[0].kept) == (301, 150)


def test_a_draw_goes_by_text_and_seed_alone(fitted: HashedClassifier, tmp_path: Path) -> None:
    shuffled = ROWS[:]
    random.Random(1).shuffle(shuffled)
    kept = []
    for name, rows, seed in (("a", ROWS, 0), ("b", shuffled, 0), ("c", ROWS[:150], 0), ("d", ROWS, 1)):
        curate(rows, [Quality(fitted, pareto=9, seed=seed)], tmp_path / name, progress=False)
        kept.append(set(ids(tmp_path / name)))
    assert kept[0] == kept[1] != kept[3] and kept[2] == {one for one in kept[0] if one < 150}


def test_the_draw_is_a_pareto_one() -> None:
    draws = np.array([pareto(str(i), 9.0, 0) for i in range(20_000)])
    for bound in (0.01, 0.1, 0.3):
        assert abs((draws > bound).mean() - (1 + bound) ** -9.0) < 0.012
    assert draws.min() >= 0


def test_the_nth_largest_by_counting() -> None:
    dice = np.random.default_rng(0)
    for values in (dice.random(5000), dice.integers(0, 4, 5000) / 3, np.zeros(7), 1 - dice.random(3000) * 1e-12):
        for n in (1, 2, len(values) // 3 + 1, len(values)):
            assert nth_largest(values, n) == np.sort(values)[::-1][n - 1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"threshold": "0.5"}, "threshold is a number, not '0.5'"),
        ({"threshold": True}, "threshold is a number"),
        ({"threshold": 50}, "threshold lies from 0 to 1, not 50"),
        ({"pareto": 0}, "pareto must be above 0"),
        ({"pareto": float("nan")}, "pareto lies from"),
        ({"threshold": 0.5, "pareto": 9}, "not by both"),
    ],
)
def test_settings(fitted: HashedClassifier, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Quality(fitted, **settings)
    assert said in str(caught.value)


def test_what_cannot_score_is_told(fitted: HashedClassifier, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has learnt nothing yet"):
        Quality(HashedClassifier())
    with pytest.raises(ModelError, match="not a saved quality classifier"):
        Quality(tmp_path)
    with pytest.raises(ConfigError, match="already have a column 'score'; choose another with `into`"):
        curate([{"text": "a", "score": 1}], [Quality(fitted)], tmp_path / "x", progress=False)
    for share in (0, 1.5, "0.1"):
        with pytest.raises(ConfigError, match="share"):
            QualityShare(fitted, share)  # type: ignore[arg-type]


def test_another_classifier_is_another_run(fitted: HashedClassifier, tmp_path: Path) -> None:
    curate(ROWS, [Quality(fitted, threshold=0.5)], tmp_path, progress=False)
    other = HashedClassifier(seed=1).fit(TEXTS, GOOD)
    with pytest.raises(ConfigError, match="--fresh"):
        curate(ROWS, [Quality(other, threshold=0.5)], tmp_path, progress=False)
