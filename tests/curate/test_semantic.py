"""Rows near in meaning: as comparing every two of a cluster in the paper's order finds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.curate import curate, semantic
from pilotfish.curate.semantic import Semantic, semantic_duplicates
from pilotfish.errors import ConfigError
from pilotfish.rows._clusters import clustered


def vectors(rows: int, seed: int, groups: int = 6, spread: float = 0.3) -> NDArray[np.float32]:
    dice = np.random.default_rng(seed)
    found = dice.normal(size=(groups, 5))[dice.integers(groups, size=rows)] + spread * dice.normal(size=(rows, 5))
    unit: NDArray[np.float32] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def compared(unit: NDArray[np.float32], threshold: float, keep: str, clusters: int, seed: int) -> set[int]:
    gone = set()
    for rows in clustered(unit, clusters, seed) if clusters > 1 else [np.arange(len(unit))] if len(unit) else []:
        centroid = unit[rows].astype(np.float64).mean(axis=0)
        away = [(round(float(unit[row] @ centroid) * (1 if keep == "far" else -1), 9), row) for row in rows]
        order = [row for _, row in sorted(away)]
        for place, row in enumerate(order):
            if any(float(unit[row] @ unit[before]) >= threshold for before in order[:place]):
                gone.add(int(row))
    return gone


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 60), st.integers(0, 9), st.sampled_from([0.7, 0.9]), st.sampled_from(["far", "near"]),
    st.sampled_from([1, 3]),
)  # fmt: skip
def test_what_goes_is_what_comparing_all_finds(
    rows: int, seed: int, threshold: float, keep: Any, clusters: int
) -> None:
    unit = vectors(rows, seed)
    near, cosine = semantic_duplicates(unit, threshold, keep=keep, clusters=clusters, seed=seed)
    gone = set(np.flatnonzero(near >= 0).tolist())
    assert gone == compared(unit, threshold, keep, clusters, seed)
    for row in gone:
        assert cosine[row] == pytest.approx(float(unit[row] @ unit[near[row]]), abs=1e-5) and near[row] != row


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = vectors(500, 1, groups=20, spread=0.1)
    whole, cosine = semantic_duplicates(unit, 0.97)
    monkeypatch.setattr(semantic, "_BLOCK", 64)
    near, again = semantic_duplicates(unit, 0.97)
    assert np.array_equal(near, whole) and np.allclose(cosine, again, atol=1e-6)


def test_many_rows_are_compared_in_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = vectors(900, 3, groups=40, spread=0.02)
    whole = semantic_duplicates(unit, 0.98)[0] >= 0
    monkeypatch.setattr(semantic, "_WHOLE", 500)
    some = semantic_duplicates(unit, 0.98)[0] >= 0
    # Tight groups lie in one cluster nearly always: as many rows go, but for the few at a border.
    assert abs(int(some.sum()) - int(whole.sum())) <= 0.05 * whole.sum()


def test_rows_that_say_the_same_go(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    texts = ["where is my card", "where is my card ?", "i want a refund", "the cat sat on the mat", " ", "", "the cat"]
    rows = [{"id": place, "text": text} for place, text in enumerate(texts)]
    report = curate(rows, [Semantic(tiny_encoder_folder, 0.99)], tmp_path, progress=False)
    kept = [json.loads(line)["id"] for line in (tmp_path / "kept.jsonl").read_text().splitlines()]
    assert {4, 5} <= set(kept) and len({0, 1} & set(kept)) == 1 and {2, 3} <= set(kept)
    (dropped, *_) = (json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().splitlines())
    other = {0: 2, 1: 1}[dropped["row"]["id"]]
    assert dropped["reason"].endswith(f"with row {other} of those that came here")
    assert dropped["reason"].startswith("semantic: cosine 0.99") or "cosine 1.000" in dropped["reason"]
    assert report.steps[0].reasons["semantic"] == report.dropped


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"threshold": 0.0}, "threshold of a cosine"),
        ({"keep": "first"}, "far or the near"),
        ({"clusters": 0}, "at least one cluster"),
        ({"clusters": 1, "seed": 1}, "nothing would look at it"),
    ],
)
def test_settings_that_cannot_be(tiny_encoder_folder: Path, wrong: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Semantic(tiny_encoder_folder, **wrong)
