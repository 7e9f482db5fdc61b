"""Vectors: equal to comparing all at once, whatever the blocks; graphs find nearly the same; changes are in place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pilotfish.retrieve.dense as module
from pilotfish.errors import ConfigError
from pilotfish.retrieve._graph import Walk
from pilotfish.retrieve.dense import Dense, Vectors
from pilotfish.retrieve.way import Way
from tests.retrieve.made import SAID, Hashed

TEXTS = list(SAID.values())


def built(folder: Path, encoder: Hashed, texts: list[str], how: Vectors | None = None) -> Dense:
    way = Dense(folder, encoder, how)
    way.add(texts)
    way.settle()
    return way


def test_is_the_cosine_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 64)  # two rows a block
    encoder = Hashed(tmp_path / "encoder")
    way = built(tmp_path / "dense", encoder, TEXTS)
    assert isinstance(way, Way)
    found = way.rank(["the wind over the sea", "hot bread"], 4)
    unit = encoder.encode(TEXTS) / np.linalg.norm(encoder.encode(TEXTS), axis=1, keepdims=True)
    asked = encoder.encode(["the wind over the sea", "hot bread"])
    cosine = asked / np.linalg.norm(asked, axis=1, keepdims=True) @ unit.T
    for place in range(2):
        order = np.argsort(-cosine[place], kind="stable")[:4]
        assert found.rows[place].tolist() == order.tolist()
        np.testing.assert_allclose(found.scores[place], cosine[place][order], atol=1e-6)


@pytest.mark.parametrize("search", ["exact", "graph"])
def test_changes_are_in_place_and_last(tmp_path: Path, search: str) -> None:
    if search == "graph":
        pytest.importorskip("usearch")
    encoder = Hashed(tmp_path / "encoder")
    how = Vectors(search=search)  # type: ignore[arg-type]
    built(tmp_path / "dense", encoder, TEXTS[:3], how)
    way = Dense(tmp_path / "dense", encoder, how)
    before = encoder.texts
    way.add(TEXTS[3:])
    way.delete([0, 4])
    way.settle()
    assert encoder.texts == before + 3  # nothing is encoded twice
    again = Dense(tmp_path / "dense", encoder, how)
    again.delete([0, 4])
    again.settle()
    for one in (way, again):
        found = one.rank(["a boat on the sea"], 6)
        assert sorted(row for row in found.rows[0].tolist() if row >= 0) == [1, 2, 3, 5]
        fresh = built(tmp_path / f"fresh {id(one)}", encoder, [TEXTS[row] for row in (1, 2, 3, 5)], how)
        other = fresh.rank(["a boat on the sea"], 4)
        assert [[1, 2, 3, 5][row] for row in other.rows[0]] == found.rows[0, :4].tolist()
        np.testing.assert_allclose(found.scores[0, :4], other.scores[0], atol=1e-6)


def test_a_graph_finds_nearly_all(tmp_path: Path) -> None:
    pytest.importorskip("usearch")
    rng = np.random.default_rng(0)

    class Drawn(Hashed):
        def encode(self, texts, *, progress=None):  # type: ignore[no-untyped-def]
            rows = [np.random.default_rng(int(text)).normal(size=self.dimension) for text in texts]
            return np.array(rows, np.float32).reshape(len(texts), self.dimension)

    encoder = Drawn(tmp_path / "encoder")
    names = [str(number) for number in range(3000)]
    exact = built(tmp_path / "exact", encoder, names)
    graph = built(tmp_path / "graph", encoder, names, Vectors(search="graph", walk=Walk(dtype="f16")))
    queries = [str(int(number)) for number in rng.integers(10_000, 20_000, 40)]
    one, other = exact.rank(queries, 10), graph.rank(queries, 10)
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(one.rows.tolist(), other.rows.tolist(), strict=True)])
    assert share > 0.9
    same = one.rows == other.rows
    np.testing.assert_allclose(other.scores[same], one.scores[same], atol=1e-6)  # scored by the vectors themselves
    graph.delete(range(0, 3000, 2))
    graph.settle()
    assert (graph.rank(queries, 10).rows % 2 == 1).all()


def test_half_the_size_is_nearly_the_same(tmp_path: Path) -> None:
    encoder = Hashed(tmp_path / "encoder")
    one = built(tmp_path / "32", encoder, TEXTS)
    other = built(tmp_path / "16", encoder, TEXTS, Vectors(dtype="float16"))
    assert (tmp_path / "16" / "vectors.bin").stat().st_size * 2 == (tmp_path / "32" / "vectors.bin").stat().st_size
    np.testing.assert_allclose(other.rank(["sea"], 6).scores, one.rank(["sea"], 6).scores, atol=1e-3)


def test_prefixes_and_lengths_count(tmp_path: Path) -> None:
    encoder = Hashed(tmp_path / "encoder")
    way = built(tmp_path / "prefixed", encoder, ["sea"], Vectors(query_prefix="passage: ", passage_prefix="passage: "))
    assert way.rank(["sea"], 1).scores[0, 0] == pytest.approx(1.0, abs=1e-6)
    plain = built(tmp_path / "plain", encoder, ["passage: sea"], Vectors(cosine=False))
    length = float(np.linalg.norm(encoder.encode(["passage: sea"])))
    assert plain.rank(["passage: sea"], 1).scores[0, 0] == pytest.approx(length**2, rel=1e-5)


def test_nothing_is_found_in_nothing(tmp_path: Path) -> None:
    way = Dense(tmp_path / "dense", Hashed(tmp_path / "encoder"))
    way.settle()
    assert way.rank(["a"], 2).rows.tolist() == [[-1, -1]] and way.rank([], 2).rows.shape == (0, 2)


def test_wrong_settings() -> None:
    with pytest.raises(ConfigError, match="float32 or float16"):
        Vectors(dtype="int8")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="exact or by graph"):
        Vectors(search="tree")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="1 or more"):
        Walk(neighbours=0)
