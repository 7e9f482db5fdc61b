"""BM25 in memory: the scores of bm25s itself, and likeness by its weights."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.rows.bm25 import Words, WordScores

TEXTS = [
    "The cat sat on the mat and the cat slept.",
    "A dog barked at the mail carrier.",
    "",
    "Dogs and cats are animals; a dog is no cat.",
    "the of and",
    "The mail came late.",
]
QUERIES = ["cat", "the dog and the mail", "nothing here", "mail mail"]


@pytest.mark.parametrize("method", ["lucene", "bm25+"])
def test_scores_are_those_of_bm25s(method: str) -> None:
    import bm25s
    import Stemmer

    held = WordScores(TEXTS, Words(method=method))  # type: ignore[arg-type]
    stem = Stemmer.Stemmer("english")

    def cut(texts: list[str]) -> list[list[str]]:
        found = bm25s.tokenize(texts, stopwords="english", stemmer=stem, return_ids=False, show_progress=False)
        return [list(one) for one in found]

    there = [at for at, words in enumerate(cut(TEXTS)) if words]
    peer = bm25s.BM25(method=method)
    peer.index(cut([TEXTS[at] for at in there]), show_progress=False)
    found = held.scores(QUERIES)
    assert found.shape == (len(QUERIES), len(TEXTS))
    for row, words in enumerate(cut(QUERIES)):
        wanted = np.zeros(len(TEXTS))
        known = [word for word in words if word in peer.vocab_dict]
        if known:
            told = peer.get_scores(known)
            for at, text in enumerate(there):
                # A text without a word of the query scores nothing here.
                wanted[text] = told[at] if set(known) & set(cut([TEXTS[text]])[0]) else 0.0
        np.testing.assert_allclose(found[row], wanted, rtol=1e-5, atol=1e-6)


def test_texts_are_alike_by_their_words() -> None:
    held = WordScores([*TEXTS, TEXTS[0]])
    alike = held.alike([0, 6, 1, 2])
    np.testing.assert_allclose(alike, alike.T)
    assert alike[0, 1] == pytest.approx(1.0)
    assert alike[0, 2] == 0.0  # no word in common
    assert not alike[3].any()  # no words at all
    partly = held.alike([1, 5])[0, 1]
    assert 0 < partly < 1
    assert WordScores([""]).alike([0]).tolist() == [[0.0]]
    assert WordScores(["", "the"]).scores(["cat"]).tolist() == [[0.0, 0.0]]
