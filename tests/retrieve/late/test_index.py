"""The index against every pair scored, against itself built anew, and by numpy against the compiled search."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.retrieve.found import Found
from pilotfish.retrieve.late import _segment
from pilotfish.retrieve.late._native import library
from pilotfish.retrieve.late.codec import Codec
from pilotfish.retrieve.late.index import LateIndex
from pilotfish.retrieve.late.maxsim import maxsim
from pilotfish.rows._lock import locked
from tests.retrieve.late.made import documents, queries_of

needs_compiler = pytest.mark.skipif(library() is None, reason="no C compiler here")
DOCUMENTS = documents(600)
QUERIES = queries_of(DOCUMENTS, 12)
CODEC = Codec.fit(np.concatenate(DOCUMENTS), 128)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LateIndex:
    return LateIndex.build(tmp_path_factory.mktemp("late") / "index", DOCUMENTS, codec=CODEC, note="made")


def same(mine: Found, theirs: Found) -> None:
    np.testing.assert_array_equal(mine.rows, theirs.rows)
    np.testing.assert_array_equal(mine.scores, theirs.scores)


def by_every_pair(index: LateIndex, query: NDArray[np.float32], k: int) -> tuple[Any, Any]:
    scores = maxsim(query, [index.vectors(row) for row in range(len(index))], native=False)
    scores[~index.alive] = -np.inf
    best = np.lexsort((np.arange(len(scores)), -scores))[:k]
    return best, scores[best]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("stages", [{"candidates": 600}, {"candidates": 100, "n_probe": 128}])
def test_thorough_it_is_every_pair_scored(index: LateIndex, native: bool, stages: dict[str, Any]) -> None:
    opened = LateIndex(index.folder, native=native)
    found = opened.search(QUERIES, 10, **stages)
    for number, query in enumerate(QUERIES):
        rows, scores = by_every_pair(index, query, 10)
        np.testing.assert_array_equal(found.rows[number], rows)
        np.testing.assert_allclose(found.scores[number], scores, rtol=1e-5)
    assert found.rows.dtype == np.int64
    assert found.scores.dtype == np.float32


@needs_compiler
@pytest.mark.parametrize("threshold", [0.0, 0.7])
@pytest.mark.parametrize(("n_probe", "candidates"), [(1, 30), (4, 60)])
def test_pruned_it_is_the_same_by_numpy(index: LateIndex, n_probe: int, candidates: int, threshold: float) -> None:
    how: dict[str, Any] = {"n_probe": n_probe, "candidates": candidates, "threshold": threshold}
    mine = index.search(QUERIES, 10, **how)
    theirs = LateIndex(index.folder, native=False).search(QUERIES, 10, **how)
    np.testing.assert_array_equal(mine.rows, theirs.rows)
    np.testing.assert_allclose(mine.scores, theirs.scores, rtol=1e-5)


def test_pruned_it_finds_nearly_all_of_the_best(index: LateIndex) -> None:
    whole = index.search(QUERIES, 10, candidates=600).rows
    pruned = index.search(QUERIES, 10, candidates=60, n_probe=4).rows
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(whole, pruned, strict=True)]) > 0.9


def test_a_threshold_passes_over_what_nothing_comes_near(index: LateIndex) -> None:
    query = CODEC.centroids[:1]
    far = index.search([query], 5, candidates=20, n_probe=8, threshold=0.999)
    holds = [row for row in range(len(DOCUMENTS)) if (index.codec.nearest.of(DOCUMENTS[row]) == 0).any()]
    assert set(far.rows[0].tolist()) <= set(holds)


@needs_compiler
def test_neither_threads_nor_company_change_a_result(index: LateIndex) -> None:
    alone = [LateIndex(index.folder, threads=1).search([query], 10, candidates=60) for query in QUERIES]
    three = [LateIndex(index.folder, threads=3).search([query], 10, candidates=60) for query in QUERIES]
    together = LateIndex(index.folder, threads=2).search(QUERIES, 10, candidates=60)
    for number in range(len(QUERIES)):
        for other in (three[number], Found(together.rows[number : number + 1], together.scores[number : number + 1])):
            same(alone[number], other)


@needs_compiler
@pytest.mark.parametrize("candidates", [600, 50])
def test_grown_and_shrunk_it_is_one_built_of_what_is_left(tmp_path: Path, candidates: int) -> None:
    grown = LateIndex.build(tmp_path / "grown", DOCUMENTS[:300], codec=CODEC)
    assert grown.add(DOCUMENTS[300:310]) == range(300, 310)
    gone = [0, 7, 299, 305]
    assert grown.delete(gone[:3]) == 3
    assert grown.delete([7]) == 0
    assert grown.add(DOCUMENTS[310:]) == range(310, 600)
    assert grown.delete(gone[2:]) == 1
    left = np.array([row for row in range(600) if row not in gone])
    fresh = LateIndex.build(tmp_path / "fresh", [DOCUMENTS[row] for row in left], codec=CODEC)
    expected = fresh.search(QUERIES, 20, candidates=candidates)
    expected = Found(left[expected.rows], expected.scores)
    same(grown.search(QUERIES, 20, candidates=candidates), expected)
    before = grown.bytes
    grown.compact()
    assert grown.segments == 1
    assert grown.bytes < before
    assert grown.tokens == fresh.tokens
    same(grown.search(QUERIES, 20, candidates=candidates), expected)
    same(LateIndex(tmp_path / "grown").search(QUERIES, 20, candidates=candidates), expected)
    np.testing.assert_array_equal(np.flatnonzero(~grown.alive), gone)


@needs_compiler
@settings(max_examples=25)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 40)),
            st.tuples(st.just("delete"), st.lists(st.integers(0, 10**6), max_size=6)),
            st.tuples(st.just("compact"), st.none()),
        ),
        max_size=8,
    )
)
def test_whatever_is_done_to_it(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("steps")
    index = LateIndex.build(folder / "index", DOCUMENTS[:20], codec=CODEC)
    rows, gone = 20, set[int]()
    for step, what in steps:
        if step == "add":
            assert index.add(DOCUMENTS[rows : rows + what]) == range(rows, rows + what)
            rows += what
        elif step == "delete":
            wanted = {row % rows for row in what}
            assert index.delete(wanted) == len(wanted - gone)
            gone |= wanted
        else:
            index.compact()
    empty = DOCUMENTS[0][:0]
    kept = [empty if row in gone else DOCUMENTS[row] for row in range(rows)]
    fresh = LateIndex.build(folder / "fresh", kept, codec=CODEC)
    for candidates in (1000, 8):
        same(index.search(QUERIES, 5, candidates=candidates), fresh.search(QUERIES, 5, candidates=candidates))
    assert len(index) == rows
    assert index.segments <= 1 + np.log2(rows)


def test_a_stream_and_its_own_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_segment, "_TOKENS", 500)  # several stretches of centroids
    index = LateIndex.build(tmp_path / "one", iter(DOCUMENTS), bits=4, seed=1)
    again = LateIndex.build(tmp_path / "two", iter(DOCUMENTS), bits=4, seed=1)
    assert index.codec.identity == again.codec.identity
    same(index.search(QUERIES, 10), again.search(QUERIES, 10))
    monkeypatch.undo()
    whole = LateIndex.build(tmp_path / "three", DOCUMENTS, bits=4, seed=1)
    same(index.search(QUERIES, 10, candidates=50), whole.search(QUERIES, 10, candidates=50))
    for number, query in enumerate(QUERIES):
        exact = np.argsort(-maxsim(query, DOCUMENTS), kind="stable")[:10]
        assert len(set(index.search([query], 10).rows[0]) & set(exact)) >= 7, number
    assert not list(tmp_path.rglob(".spool*"))


@pytest.mark.parametrize("native", [False, True])
def test_all_that_there_is_where_it_is_fewer(tmp_path: Path, native: bool) -> None:
    empty = DOCUMENTS[0][:0]
    index = LateIndex.build(tmp_path, [DOCUMENTS[0], empty, *DOCUMENTS[1:5]], bits=2, native=native)
    found = index.search([QUERIES[0], QUERIES[0][:0]], 8)
    assert sorted(found.rows[0].tolist()) == [-1, -1, -1, 0, 2, 3, 4, 5]
    assert found.rows[1].tolist() == [-1] * 8
    assert np.isneginf(found.scores[found.rows < 0]).all()
    assert index.search([], 3).rows.shape == (0, 3)
    index.delete([2, 3])
    mask = np.array([True, True, True, True, True, False])
    assert sorted(index.search([QUERIES[0]], 8, alive=mask).rows[0].tolist())[-2:] == [0, 4]
    # Fewer candidates than are asked for among the nearest centroids: all are looked at.
    many = LateIndex.build(tmp_path / "many", DOCUMENTS, codec=CODEC, native=native)
    assert (many.search(QUERIES[:2], 500, n_probe=1, candidates=500).rows >= 0).all()


def test_of_equal_scores_the_first_row(tmp_path: Path) -> None:
    for native in (False, True):
        index = LateIndex.build(tmp_path, [DOCUMENTS[1], *[DOCUMENTS[0]] * 80], native=native)
        for candidates in (100, 10):
            query = DOCUMENTS[0][:2]
            assert index.search([query], 4, candidates=candidates).rows[0].tolist() == [1, 2, 3, 4]


def test_many_small_additions_stay_few_parts(tmp_path: Path) -> None:
    index = LateIndex.build(tmp_path, DOCUMENTS[:100], codec=CODEC)
    for at in range(100, 160):
        index.add(DOCUMENTS[at : at + 1])
    assert index.segments <= 7
    assert len(list(tmp_path.glob("segment-*"))) == index.segments
    fresh = LateIndex.build(tmp_path / "fresh", DOCUMENTS[:160], codec=CODEC)
    same(index.search(QUERIES, 10), fresh.search(QUERIES, 10))


def test_who_reads_sees_it_as_it_was_until_asked(tmp_path: Path) -> None:
    writer = LateIndex.build(tmp_path, DOCUMENTS[:50], codec=CODEC)
    reader = LateIndex(tmp_path)
    before = reader.search(QUERIES, 5)
    writer.add(DOCUMENTS[50:])
    writer.delete([0, 1, 2])
    writer.compact()
    same(reader.search(QUERIES, 5), before)
    reader.reload()
    same(reader.search(QUERIES, 5), writer.search(QUERIES, 5))
    LateIndex.build(tmp_path, DOCUMENTS[:30], bits=1)
    assert (len(reader), len(LateIndex(tmp_path))) == (600, 30)
    assert reader.add(DOCUMENTS[:1]) == range(30, 31)  # a writer sees what others did


def test_bytes_a_token(tmp_path: Path) -> None:
    sizes = {bits: LateIndex.build(tmp_path / str(bits), DOCUMENTS, bits=bits).bytes for bits in (1, 2, 4)}
    tokens = sum(map(len, DOCUMENTS))
    assert sizes[4] - sizes[2] == tokens * 24 * 2 // 8 + 4 * (16 - 4) * 2 + 0
    assert sizes[2] - sizes[1] == tokens * 24 // 8 + 4 * (4 - 2) * 2
    names = {path.suffix for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
    assert names == {".npy", ".json"}


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no token to index"):
        LateIndex.build(tmp_path / "none", [])
    with pytest.raises(DataError, match="document 1: its vectors are"):
        LateIndex.build(tmp_path / "none", [DOCUMENTS[0], DOCUMENTS[0][:, :5]])
    assert not list((tmp_path / "none").glob("[!.]*"))
    with pytest.raises(ModelError, match=r"not a saved late-interaction index.*late\.json"):
        LateIndex(tmp_path / "none")
    index = LateIndex.build(tmp_path / "index", DOCUMENTS[:9])
    with pytest.raises(DataError, match=r"\(tokens, 24\), not \(3, 5\)"):
        index.add([np.zeros((3, 5), np.float32)])
    with pytest.raises(DataError, match="row 9: the index has rows 0 to 8"):
        index.delete([1, 9])
    assert index.alive.all()
    with pytest.raises(DataError, match="mask of"):
        index.search(QUERIES, 1, alive=np.ones(3, bool))
    with pytest.raises(DataError, match="its vectors are"):
        index.search([np.zeros((3, 5), np.float32)], 1)
    with pytest.raises(ConfigError, match="1 or more, not 0"):
        index.search(QUERIES, 0)
    with locked(index.folder), pytest.raises(ConfigError, match="another run"):
        index.delete([1])
    facts = json.loads((index.folder / "late.json").read_text())
    (index.folder / "late.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(ModelError, match="format 99"):
        LateIndex(index.folder)
    (index.folder / "late.json").write_text(json.dumps(facts))
    shutil.rmtree(next(index.folder.glob("segment-*")))
    with pytest.raises(ModelError, match="segment-0"):
        LateIndex(index.folder)
