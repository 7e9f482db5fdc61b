"""An index: made, changed in place, killed and gone on with; always as a fresh one; only with its own encoder."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.retrieve import Added, Chunks, Document, Encoders, Hybrid, Index
from pilotfish.retrieve.bm25 import Words
from pilotfish.retrieve.dense import Vectors
from pilotfish.rows._lock import locked
from tests.forks import forked, module
from tests.retrieve._building import MANY, many
from tests.retrieve.made import DOCUMENTS, SAID, Hashed

pytest.importorskip("bm25s")
pytest.importorskip("Stemmer")


def made(folder: Path, encoder: Hashed, **how: object) -> Index:
    return Index.create(folder, ["bm25", "dense"], encoders=Encoders(dense=encoder), **how)  # type: ignore[arg-type]


def found(index: Index, query: str, k: int = 6) -> dict[str, list[tuple[str, float]]]:
    told = {}
    for way in index.ways:
        (hits,) = index.retriever(way).search([query], k)
        told[way] = [(hit.passage.id, round(hit.score, 5)) for hit in hits]
    return told


def test_finds_by_words_and_by_meaning(tmp_path: Path) -> None:
    index = made(tmp_path / "index", Hashed(tmp_path / "encoder"))
    assert index.add(DOCUMENTS) == Added(6, 0, 0, 6)
    (hits,) = index.retriever("bm25").search(["sails"], 3)
    assert [hit.passage.id for hit in hits] == ["boats"]  # no more rows hold a word of it
    assert hits[0].passage.fields == {"number": 0} and hits[0].passage.title == "Boats"
    (near,) = index.retriever("dense").search(["Bread is baked from flour"], 2)
    assert near[0].passage.id == "bread" and len(near) == 2
    both = Hybrid([index.retriever("bm25"), index.retriever("dense")])
    assert both.search(["bread in the oven"], 1)[0][0].passage.id == "bread"
    with pytest.raises(ConfigError, match="k is 1 or more"):
        index.retriever("bm25").search(["x"], 0)


def test_changes_end_as_a_fresh_index(tmp_path: Path) -> None:
    encoder = Hashed(tmp_path / "encoder")
    with made(tmp_path / "index", encoder) as index:
        index.add(DOCUMENTS[:4])
        index.add([Document("bread", "Bread of rye, with a sour dough.", "Bread"), *DOCUMENTS[4:]])
        assert index.delete(["engines"]) == 1
        assert len(index) == 5
    texts = [one for one in DOCUMENTS if one.id not in ("engines", "bread")]
    order = [texts[0], texts[1], Document("bread", "Bread of rye, with a sour dough.", "Bread"), *texts[2:]]
    fresh = made(tmp_path / "fresh", encoder)
    fresh.add(order)
    again = Index.open(tmp_path / "index", Encoders(dense=encoder))
    for query in ("the wind over the sea", "bread", "engine fuel"):
        assert found(again, query) == found(fresh, query)


def test_the_same_documents_cost_no_pass_of_a_model(tmp_path: Path) -> None:
    encoder = Hashed(tmp_path / "encoder")
    index = made(tmp_path / "index", encoder)
    index.add(DOCUMENTS)
    before = encoder.texts
    assert index.add(DOCUMENTS) == Added(0, 0, 6, 0)
    assert encoder.texts == before


def test_long_documents_are_cut_and_cited(tmp_path: Path) -> None:
    pytest.importorskip("sentencex")
    index = made(tmp_path / "index", Hashed(tmp_path / "encoder"), chunks=Chunks("sentences", 1))
    index.add(DOCUMENTS)
    (hits,) = index.retriever("bm25").search(["trim"], 1)
    one = hits[0].passage
    assert (one.id, one.document) == ("boats#2", "boats")
    assert SAID["boats"][one.start : one.end] == one.text == "Sailors trim the sails."
    index.add([Document("boats", "No more.")])
    assert index.retriever("bm25").search(["trim"], 1) == [[]]


@pytest.mark.timeout(280)
def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    rng = random.Random(4)
    killed = 0
    for turn in range(12):
        with forked(module("tests.retrieve._building"), tmp_path, f"turn-{turn}") as process:
            said = process.stdout.readline()
            if turn < 4:
                time.sleep(rng.uniform(0.0, 0.25))
                process.kill()
            rest = process.stdout.read()
        killed += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            assert said == b"ready\n" and rest.startswith(f"turn-{turn}".encode())
            break
    assert killed >= 2, "no process was killed in the middle: the test shows nothing"
    encoder = Hashed(tmp_path / "encoder")
    index = Index.open(tmp_path / "index", Encoders(dense=encoder))
    assert len(index) == MANY and index.collection.rows == MANY
    fresh = made(tmp_path / "fresh", encoder)
    fresh.add(many())
    for query in ("number 3 of kind 3", "kind 5", "371"):
        assert found(index, query, 20) == found(fresh, query, 20)


def test_a_way_that_is_behind_catches_up_when_it_is_opened(tmp_path: Path) -> None:
    encoder = Hashed(tmp_path / "encoder")
    with made(tmp_path / "index", encoder) as index:
        index.add(DOCUMENTS[:3])
        # As if the process had been killed when the passages were there and the ways not.
        index.collection.add([index.chunks.of(one) for one in DOCUMENTS[3:]])
    again = Index.open(tmp_path / "index", Encoders(dense=encoder))
    assert again.retriever("bm25").search(["shark"], 1)[0][0].passage.id == "fish"
    assert np.isfinite(again.way("dense").rank(["shark"], 6).scores).all()


def test_a_change_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Hashed(tmp_path / "encoder")
    index = made(tmp_path / "index", encoder)
    index.add(DOCUMENTS[:3])
    plain = encoder.encode

    def full(texts: list[str], **_: object) -> None:
        raise DataError("the disk is full")

    monkeypatch.setattr(encoder, "encode", full)
    with pytest.raises(DataError, match="full"):
        index.add(DOCUMENTS[3:])  # the passages and the words are there by now, the vectors are not
    monkeypatch.setattr(encoder, "encode", plain)
    index.add([])
    fresh = made(tmp_path / "fresh", encoder)
    fresh.add(DOCUMENTS)
    assert found(index, "the shark and the sea") == found(fresh, "the shark and the sea")


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    index = made(tmp_path / "index", Hashed(tmp_path / "encoder"))
    index.add(DOCUMENTS)
    other = Index.open(tmp_path / "index", Encoders(dense=Hashed(tmp_path / "other", dimension=16)))
    assert other.retriever("bm25").search(["sails"], 1)[0]
    with pytest.raises(ConfigError, match=r"its way 'dense' was made with .*encoder.* and is now asked with .*other"):
        other.retriever("dense")


def test_one_process_changes_it_at_a_time(tmp_path: Path) -> None:
    index = made(tmp_path / "index", Hashed(tmp_path / "encoder"))
    with locked(tmp_path / "index"), pytest.raises(ConfigError, match="is writing here"):
        index.add(DOCUMENTS)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    encoder = Hashed(tmp_path / "encoder")
    with pytest.raises(ConfigError, match="no way is called 'bm52'; did you mean 'bm25'"):
        Index.create(tmp_path / "a", ["bm52"])
    with pytest.raises(ConfigError, match="a way to find things"):
        Index.create(tmp_path / "a", [])
    with pytest.raises(ConfigError, match="settings Words, not Vectors"):
        Index.create(tmp_path / "a", {"bm25": Vectors()})
    with pytest.raises(ConfigError, match="'sparse' needs a model"):
        Index.create(tmp_path / "a", ["sparse"])
    with pytest.raises(ModelError, match="not a saved index"):
        Index.open(tmp_path / "encoder")
    with pytest.raises(DataError, match=r"holds config\.json and no index"):
        Index.create(tmp_path / "encoder", ["bm25"])
    made(tmp_path / "index", encoder).add(DOCUMENTS)
    with pytest.raises(ConfigError, match=r"the index there has ways\.bm25 = .*english"):
        Index.create(tmp_path / "index", {"bm25": Words(stemmer=None), "dense": None}, encoders=Encoders(dense=encoder))
    with pytest.raises(ConfigError, match="has no way 'sparse'"):
        Index.open(tmp_path / "index").retriever("sparse")
    with pytest.raises(DataError, match="no document 'boat'; did you mean 'boats'"):
        Index.open(tmp_path / "index", Encoders(dense=encoder)).delete(["boat"])


def test_says_what_it_holds(tmp_path: Path) -> None:
    with made(tmp_path / "index", Hashed(tmp_path / "encoder")) as index:
        index.add(DOCUMENTS)
        index.delete(["sea"])
        told = index.info()
    assert (told["documents"], told["passages"], told["deleted"]) == (5, 5, 1)
    assert told["bytes"]["dense"] >= 6 * 32 * 4 and set(told["bytes"]) == {"bm25", "dense", "passages"}


def test_late_interaction_is_a_way(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    from pilotfish.retrieve.late import LateEncoder
    from pilotfish.retrieve.rerank import ByTokens, Reranked

    encoder = LateEncoder(tiny_encoder_folder, device="cpu")
    with Index.create(tmp_path / "index", ["bm25", "late"], encoders=Encoders(late=encoder)) as index:
        index.add(DOCUMENTS)
        index.add([Document("tea", "Tea is hot water with leaves.")])
        index.delete(["engines"])
    again = Index.open(tmp_path / "index")  # by the weights that the index names
    (hits,) = again.retriever("late").search(["the sea and the wind"], 9)
    assert sorted(hit.passage.id for hit in hits) == ["boats", "bread", "fish", "sea", "tea", "wind"]
    told = ByTokens(encoder).read([("the sea and the wind", hit.passage.searched) for hit in hits])
    # What the index says is what the codes have left of the tokens' vectors.
    assert [hit.score for hit in hits] == pytest.approx(told.scores.tolist(), abs=0.25)
    (better,) = Reranked(again.retriever("bm25"), ByTokens(encoder)).search(["the sea and the wind"], 2)
    assert better[0].score == pytest.approx(max(told.scores), abs=1e-4)


def test_late_interaction_that_was_killed_catches_up(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    encoders = Encoders(late=str(tiny_encoder_folder))
    with Index.create(tmp_path / "index", ["late"], encoders=encoders) as index:
        index.collection.add([index.chunks.of(one) for one in DOCUMENTS])  # killed behind the passages
        index.collection.delete(["boats"])
    again = Index.open(tmp_path / "index", encoders)
    assert {hit.passage.id for hit in again.retriever("late").search(["sea"], 9)[0]} == {*SAID} - {"boats"}
    with pytest.raises(ConfigError, match="its way 'late' was made with"):
        from pilotfish.retrieve.late import LateEncoder

        Index.open(tmp_path / "index", Encoders(late=LateEncoder(tiny_encoder_folder, pool_factor=2))).way("late")
