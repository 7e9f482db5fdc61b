"""Coverage: against brute force over all rows, and the bounds that the algorithms are known for."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.curate import curate
from pilotfish.curate.coverage import Cover, cluster_balanced, distinct, facility_location, k_center
from pilotfish.curate.coverage.clusters import quotas
from pilotfish.errors import ConfigError


def unit(rows: int, dimension: int = 4, seed: int = 0) -> NDArray[np.float32]:
    found = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def radius(vectors: NDArray[np.float32], chosen: Any) -> float:
    away = np.linalg.norm(vectors[:, None] - vectors[list(chosen)][None], axis=2)
    return float(away.min(axis=1).max())


def value(vectors: NDArray[np.float32], chosen: Any) -> float:
    return float(np.maximum(vectors @ vectors[list(chosen)].T, 0).max(axis=1).sum())


@pytest.mark.parametrize("seed", range(8))
def test_k_center_is_within_twice_the_best(seed: int) -> None:
    vectors = unit(12, seed=seed)
    taken, radii = k_center(vectors, 3)
    best = min(radius(vectors, some) for some in itertools.combinations(range(12), 3))
    assert len(set(taken.tolist())) == 3 and radius(vectors, taken) <= 2 * best + 1e-6
    assert all(a >= b - 1e-6 for a, b in itertools.pairwise(radii))


def test_k_center_takes_the_farthest_each_time() -> None:
    vectors = unit(60, seed=1)
    taken, radii = k_center(vectors, 20, first=np.array([5, 9]))
    before = [5, 9]
    for row, away in zip(taken, radii, strict=True):
        distances = np.linalg.norm(vectors[:, None] - vectors[before][None], axis=2).min(axis=1)
        assert distances[row] == pytest.approx(distances.max(), abs=1e-5)
        assert away == pytest.approx(distances[row], abs=1e-5)
        before.append(int(row))
    assert len(k_center(np.repeat(unit(1), 5, axis=0), 4)[0]) == 4  # copies: none twice


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(2, 40), count=st.integers(1, 12), seed=st.integers(0, 999), had=st.integers(0, 2))
def test_facility_location_is_the_greedy_one(rows: int, count: int, seed: int, had: int) -> None:
    vectors = unit(rows, 6, seed)
    first = np.arange(min(had, rows - 1))
    taken, gains = facility_location(vectors, count, first=first)
    have = first.tolist()
    for row, gain in zip(taken, gains, strict=True):
        base = value(vectors, have) if have else 0.0
        own = {j: value(vectors, [*have, j]) - base for j in range(rows) if j not in have}
        assert gain == pytest.approx(max(own.values()), abs=1e-4) == pytest.approx(own[int(row)], abs=1e-4)
        have.append(int(row))
    assert len(taken) == min(count, rows - len(first))


@pytest.mark.parametrize("seed", range(5))
def test_facility_location_is_near_the_best(seed: int) -> None:
    vectors = unit(11, seed=seed)
    taken, gains = facility_location(vectors, 3)
    best = max(value(vectors, some) for some in itertools.combinations(range(11), 3))
    assert gains.sum() == pytest.approx(value(vectors, taken), abs=1e-4) and gains.sum() >= (1 - 1 / np.e) * best


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 700), most=st.floats(0.2, 1.0), seed=st.integers(0, 99), scored=st.booleans())
def test_what_is_distinct_is_far_from_all_that_was_taken(rows: int, most: float, seed: int, scored: bool) -> None:
    vectors = unit(rows, 3, seed)
    scores = np.random.default_rng(seed).integers(0, 5, rows) if scored else None
    order = np.arange(rows) if scores is None else np.argsort(-scores, kind="stable")
    wanted: list[int] = []
    for row in order:
        if not wanted or (vectors[wanted] @ vectors[row]).max() < most:
            wanted.append(int(row))
    # A cosine that is the bound to the last bit may fall on either side by how it is summed.
    close = np.abs(vectors @ vectors.T - most) < 1e-6
    if not close.any():
        assert distinct(vectors, scores, most=most).tolist() == wanted
        assert distinct(vectors, scores, most=most, count=3).tolist() == wanted[:3]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(0, 200))
def test_quotas_are_even_and_sum(sizes: list[int], count: int) -> None:
    found = quotas(sizes, count)
    assert found.sum() == min(count, sum(sizes)) and (found <= sizes).all()
    short = [f for f, s in zip(found, sizes, strict=True) if f < s]
    assert not short or max(found) - min(short) <= 1


def test_rare_clusters_are_not_crowded_out() -> None:
    random = np.random.default_rng(0)
    centers = np.eye(4, dtype=np.float32)
    sizes = [400, 40, 20, 4]
    noise = 0.02 * random.normal(size=(sum(sizes), 4))
    vectors = (np.repeat(centers, sizes, axis=0) + noise).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    taken = cluster_balanced(vectors, 34, clusters=4)
    which = np.repeat(np.arange(4), sizes)[taken]
    assert np.bincount(which).tolist() == [10, 10, 10, 4]
    scores = np.arange(len(vectors))
    best = cluster_balanced(vectors, 4, clusters=4, scores=scores)
    assert best.tolist() == [399, 439, 459, 463]


TEXTS = ["where is my card", "where is my card ?", "i want a refund", "the cat sat on the mat", "a refund i want"]


@pytest.mark.parametrize(
    ("how", "extra"),
    [
        ("k-center", {"count": 3}),
        ("facility-location", {"share": 0.6}),
        ("distinct", {"most": 0.95}),
        ("clusters", {"count": 3, "clusters": 3}),
    ],
)
def test_a_step_keeps_rows_that_cover(tmp_path: Path, tiny_encoder_folder: Path, how: Any, extra: Any) -> None:
    rows = [{"text": text, "id": i} for i, text in enumerate(TEXTS)] + [{"text": " ", "id": 9}]
    report = curate(rows, [Cover(tiny_encoder_folder, how, **extra)], tmp_path / "out", progress=False)
    kept = [json.loads(line)["id"] for line in (tmp_path / "out" / "kept.jsonl").read_text().splitlines()]
    assert 3 in kept and not {0, 1} <= set(kept)
    assert "cover.none" in report.steps[0].reasons and report.kept + report.dropped == 6
    if how != "distinct":
        assert len(kept) == 3


def test_the_best_of_near_rows_is_kept(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    rows = [{"text": text, "score": float(i), "id": i} for i, text in enumerate(TEXTS)] + [{"text": "x", "id": 9}]
    step = Cover(tiny_encoder_folder, "distinct", most=0.95, score="score")
    curate(rows, [step], tmp_path / "out", progress=False)
    kept = [json.loads(line)["id"] for line in (tmp_path / "out" / "kept.jsonl").read_text().splitlines()]
    assert 1 in kept and 0 not in kept
    dropped = [json.loads(line) for line in (tmp_path / "out" / "dropped.jsonl").read_text().splitlines()]
    assert dropped[-1]["reason"] == "cover.none: no text, or no score"


@pytest.mark.parametrize(
    "wrong",
    [
        {"how": "all", "count": 1},
        {"count": 1, "share": 0.5},
        {},
        {"share": 0.0},
        {"count": 0},
        {"count": 2, "score": "s"},
        {"count": 2, "most": 0.5},
        {"count": 2, "clusters": 2},
        {"how": "distinct", "seed": 3},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Cover("all-minilm-l6-v2", **wrong)
