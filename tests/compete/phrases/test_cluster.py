"""Groups of phrases: planted ones are found, each named by its medoid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.phrases.cluster import clusters_of, grouped
from pilotfish.compete.phrases.search import phrase_index
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.encoder import Encoder
from tests.compete.phrases.test_measured import Given

TABLE: dict[str, list[float]] = {
    "cat": [1, 0, 0.1],
    "cats": [1, 0.05, 0],
    "kitten": [1, 0.1, 0.3],
    "bank": [0, 1, 0],
    "banks": [0.1, 1, 0],
    "sea": [0, 0, 1],
}


@pytest.mark.parametrize("how", [{"count": 3}, {"distance": 0.3}, {"count": 3, "method": "k-means"}])
def test_planted_groups_are_found_and_named(how: dict[str, object]) -> None:
    found = clusters_of(Given(TABLE), list(TABLE), **how)  # type: ignore[arg-type]
    assert [set(one.phrases) for one in found] == [{"cat", "cats", "kitten"}, {"bank", "banks"}, {"sea"}]
    assert found[0].name == "cat" and found[0].phrases[0] == "cat" and found[2].name == "sea"
    assert [list(TABLE)[row] for row in found[0].rows] == list(found[0].phrases)
    assert found[2].closeness == 1.0


@given(st.integers(0, 200), st.integers(1, 6))
def test_the_medoid_is_nearest_to_all_others(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    unit = rng.normal(size=(9, 3)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    names = [str(i) for i in range(9)]
    found = grouped(unit, names, count, None)
    assert len(found) == count and sorted(row for one in found for row in one.rows) == list(range(9))
    assert [len(one.rows) for one in found] == sorted((len(one.rows) for one in found), reverse=True)
    for one in found:
        table = unit[list(one.rows)] @ unit[list(one.rows)].T
        sums = dict(zip(one.rows, table.sum(1), strict=True))
        assert sums[int(one.name)] == pytest.approx(max(sums.values()), abs=1e-5)
        pairs = [table[i, j] for i in range(len(table)) for j in range(i)]
        assert one.closeness == pytest.approx(np.mean(pairs) if pairs else 1.0, abs=1e-5)


def test_what_makes_no_groups_is_said() -> None:
    encoder = Given(TABLE)
    for wrong in (
        {},
        {"count": 2, "distance": 0.3},
        {"distance": 3.0},
        {"distance": 0.3, "method": "k-means"},
        {"count": 2, "method": "x"},
    ):
        with pytest.raises(ConfigError):
            clusters_of(encoder, ["cat", "bank"], **wrong)
    for phrases, count in ((["cat"], 2), (["cat"], 0)):
        with pytest.raises(DataError):
            clusters_of(encoder, phrases, count=count)
    assert clusters_of(encoder, ["cat"], count=1)[0].phrases == ("cat",)


def test_phrases_are_found_by_meaning_and_read_once(tiny_encoder: Encoder, tmp_path: Path) -> None:
    phrases = ["the cat", "exchange rate", "Exchange  Rate", "a refund", ""]
    with phrase_index(tmp_path / "index", phrases, tiny_encoder) as index:
        assert len(index) == 3
        hits = index.retriever("dense").search(["the exchange rate", "cat the"], 2)
        assert hits[0][0].passage.text == "exchange rate" and hits[1][0].passage.text == "the cat"
        own = tiny_encoder.encode(["the exchange rate", "exchange rate"])
        assert hits[0][0].score == pytest.approx(float(own[0] @ own[1]), abs=1e-5)
    with phrase_index(tmp_path / "index", ["the cat", "a song"], tiny_encoder) as index:
        assert len(index) == 4
        assert index.retriever("dense").search(["a song"], 1)[0][0].passage.id == "a song"
