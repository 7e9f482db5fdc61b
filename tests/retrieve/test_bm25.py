"""BM25: the formula by hand, bm25s' own scores, and after any changes those of a fresh index."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.retrieve.bm25 import Bm25, Method, Words
from pilotfish.retrieve.way import Way
from pilotfish.rows._bm25_scores import scores_of

bm25s = pytest.importorskip("bm25s")
pytest.importorskip("Stemmer")

TEXTS = ["red red fox", "fox runs", "the slow green turtle runs runs", "green grass grows", "red green blue"]
PLAIN = {"stemmer": None, "stop_words": None}
METHODS: list[Method] = ["lucene", "robertson", "atire", "bm25l", "bm25+"]


def built(folder: Path, texts: list[str], words: Words) -> Bm25:
    way = Bm25(folder, words)
    if texts:
        way.add(texts)
    way.settle()
    return way


def test_is_a_way(tmp_path: Path) -> None:
    assert isinstance(Bm25(tmp_path), Way)


def test_lucene_s_formula_by_hand(tmp_path: Path) -> None:
    way = built(tmp_path, TEXTS, Words(k1=1.2, b=0.5, stemmer=None, stop_words=None))
    found = way.rank(["red fox"], 5)
    lengths = [len(text.split()) for text in TEXTS]
    mean = sum(lengths) / len(lengths)

    def part(word: str, text: str) -> float:
        times = text.split().count(word)
        holding = sum(word in one.split() for one in TEXTS)
        idf = math.log(1 + (len(TEXTS) - holding + 0.5) / (holding + 0.5))
        return idf * times / (times + 1.2 * (1 - 0.5 + 0.5 * len(text.split()) / mean))

    wanted = {row: part("red", text) + part("fox", text) for row, text in enumerate(TEXTS)}
    order = sorted((row for row in wanted if wanted[row] > 0), key=lambda row: -wanted[row])
    assert found.rows[0].tolist() == [*order, -1, -1]
    assert found.scores[0, : len(order)] == pytest.approx([wanted[row] for row in order], rel=1e-6)
    assert (found.scores[0, len(order) :] == -np.inf).all()


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_the_library_s(tmp_path: Path, method: Method) -> None:
    way = built(tmp_path, TEXTS, Words(method=method, stemmer=None, stop_words=None))
    library = bm25s.BM25(method=method)
    library.index(bm25s.tokenize(TEXTS, stopwords=None, show_progress=False), show_progress=False)
    found = way.rank(["green runs"], 5)
    scores = library.get_scores(["green", "runs"])
    rows = [row for row in found.rows[0].tolist() if row >= 0]
    assert sorted(rows) == [1, 2, 3, 4]
    assert found.scores[0, : len(rows)] == pytest.approx(scores[rows], abs=1e-6)
    assert list(found.scores[0, : len(rows)]) == sorted(found.scores[0, : len(rows)], reverse=True)


corpora = st.lists(st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "ij"]), min_size=1, max_size=9), min_size=1)


@given(corpora, st.sampled_from(METHODS), st.sampled_from([0.0, 0.9, 1.5]), st.sampled_from([0.0, 0.75, 1.0]))
def test_scores_are_the_library_s_whatever_the_numbers(
    corpus: list[list[str]], method: Method, k1: float, b: float
) -> None:
    if method == "bm25+" and not k1:
        k1 = 0.1  # with 0 the library divides 0 by 0
    library = bm25s.BM25(method=method, k1=k1, b=b, delta=0.7)
    library.index(corpus, show_progress=False)
    numbers = {word: number for number, word in enumerate(dict.fromkeys(word for one in corpus for word in one))}
    tokens = np.array([numbers[word] for one in corpus for word in one], np.int32)
    lengths = np.array([len(one) for one in corpus], np.int64)
    ours = scores_of(tokens, lengths, len(numbers), Words(method, k1, b, 0.7))
    for query in (["ab"], ["cd", "ef", "cd"], list(numbers)):
        asked = [word for word in query if word in numbers]
        if not asked:
            continue
        told = ours.of([numbers[word] for word in asked])
        holding = np.array([bool(set(one) & set(asked)) for one in corpus])
        assert np.isfinite(told[holding]).all()
        np.testing.assert_allclose(told[holding], library.get_scores(asked)[holding], rtol=1e-5, atol=1e-6)
        assert (told[~holding] == -np.inf).all()


def test_stems_and_stop_words(tmp_path: Path) -> None:
    way = built(tmp_path, TEXTS, Words())
    assert sorted(way.rank(["the running"], 2).rows[0].tolist()) == [1, 2]
    assert (way.rank(["the", "", "unknown"], 2).rows == -1).all()


def test_equal_scores_go_by_the_row(tmp_path: Path) -> None:
    way = built(tmp_path, ["same words", "same words", "other", "same words"], Words())
    assert way.rank(["same"], 2).rows.tolist() == [[0, 1]]


texts = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6).map(" ".join), min_size=1, max_size=8)


@given(first=texts, second=texts, data=st.data())
def test_changes_end_as_a_fresh_index(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str], data: st.DataObject
) -> None:
    words = Words(stemmer=None, stop_words=None)
    first, second = ([text.replace(" ", "x ") + "x" for text in some] for some in (first, second))
    folder = tmp_path_factory.mktemp("bm25")
    built(folder, first, words)
    way = Bm25(folder, words)  # opened again
    way.add(second)
    every = first + second
    gone = data.draw(st.sets(st.integers(0, len(every) - 1)))
    way.delete(sorted(gone))
    way.settle()
    live = [row for row in range(len(every)) if row not in gone]
    fresh = built(tmp_path_factory.mktemp("fresh"), [every[row] for row in live], words)
    queries = ["ax", "bx cx", "dx dx ex fx"]
    one, other = way.rank(queries, 5), fresh.rank(queries, 5)
    assert one.rows.tolist() == [[live[row] if row >= 0 else -1 for row in some] for some in other.rows.tolist()]
    np.testing.assert_array_equal(one.scores, other.scores)


def test_what_was_not_committed_is_cut_off(tmp_path: Path) -> None:
    built(tmp_path, TEXTS, Words(stemmer=None, stop_words=None))
    with (tmp_path / "tokens.bin").open("ab") as file:
        file.write(b"\x01\x02\x03")  # a process was killed here
    way = built(tmp_path, ["blue whale"], Words(stemmer=None, stop_words=None))
    assert way.rows == len(TEXTS) + 1
    assert sorted(way.rank(["blue"], 3).rows[0].tolist()) == [-1, 4, 5]


def test_wrong_settings() -> None:
    with pytest.raises(ConfigError, match="not 'okapi'"):
        Words(method="okapi")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="b 0 to 1"):
        Words(b=2.0)
    with pytest.raises(ConfigError, match="no stemmer for 'klingon'"):
        Words(stemmer="klingon").reader()
    with pytest.raises(ConfigError, match="no stop words of 'klingon'"):
        Words(stop_words="klingon").reader()
