from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._shingles import normalised
from pilotfish.rows.decontaminate import decontaminate
from pilotfish.rows.dedupe import leaks

WORDS = st.lists(st.sampled_from(["a", "b", "C", "d!"]), max_size=9).map(" ".join)


def overlaps(one: str, two: str, n: int, shortest: int) -> bool:
    a, b = normalised(one).split(), normalised(two).split()
    if not a or not b:
        return False
    length = min(n, len(a), len(b))
    if length < shortest:
        return a == b
    inside = {tuple(b[start : start + length]) for start in range(len(b) - length + 1)}
    return any(tuple(a[start : start + length]) in inside for start in range(len(a) - length + 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=6), st.lists(WORDS, max_size=6), st.integers(1, 6), st.integers(1, 7))
def test_ngrams_go_by_the_rule(rows: list[str], test: list[str], n: int, shortest: int) -> None:
    shortest = min(shortest, n)
    found = decontaminate(rows, {"t": test}, ngram=n, shortest=shortest, threshold=None)
    wanted = [[overlaps(row, other, n, shortest) for other in test] for row in rows]
    assert found.removed == [place for place, row in enumerate(wanted) if any(row)]
    assert found.touched["t"].tolist() == [place for place in range(len(test)) if any(row[place] for row in wanted)]
    for hit in found.hits:
        assert wanted[hit.row][hit.test_row]
        assert f" {hit.ngram} " in f" {normalised(rows[hit.row])} "
        assert f" {hit.ngram} " in f" {normalised(test[hit.test_row])} "


LONG = "the quick brown fox jumps over the lazy dog while seven small birds look on from a tree"


def test_each_hit_names_what_it_found_in_both_directions() -> None:
    words = LONG.split()
    tests = {"long": ["something else", LONG], "short": [" ".join(words[2:11]), "hi there"]}
    rows = [
        "nothing to see here",
        "He wrote: " + LONG.upper() + "!!",  # contains a test row
        " ".join(words[3:12]),  # nine words, all of them within a test row
        " ".join(words[3:10]),  # seven words: too few to say that they were taken from there
        "Hi, there.",
        "and then hi there was said",
        " ".join(words[:12]) + " and more",  # twelve words of the long one, and all of the short one
    ]
    found = decontaminate(rows, tests, threshold=None)
    assert found.removed == [1, 2, 4, 6]
    assert [(hit.row, hit.test, hit.test_row) for hit in found.hits] == [
        (1, "long", 1),
        (1, "short", 0),
        (2, "long", 1),
        (4, "short", 1),
        (6, "short", 0),
    ]
    assert found.hits[0].ngram == " ".join(words[:13])
    assert found.hits[0].reason.startswith("contaminated: shares 'the quick brown")
    assert found.hits[0].reason.endswith("with row 2 of long")
    assert {name: rows.tolist() for name, rows in found.touched.items()} == {"long": [1], "short": [0, 1]}
    data = found.to_json()
    assert (data["removed"], data["kept"], data["tests"]["short"]["ngram"]) == (4, 3, 3)
    assert data["hits"][0]["test_row"] == 1
    assert found.first[1].test == "long"
    assert found.keep == [0, 3, 5]


def test_turns_of_phrase_do_not_count_where_asked() -> None:
    prompt = "please answer the following question in one word and give no other explanation at all"
    rows = [f"{prompt} number {place}" for place in range(30)] + [LONG, LONG + " x"]
    tests = {"t": [f"{prompt} what", LONG]}
    assert len(decontaminate(rows, tests, threshold=None).removed) == 32
    found = decontaminate(rows, tests, threshold=None, common=10)
    assert found.removed == [30, 31]
    assert found.touched["t"].tolist() == [1]


def test_near_rows_and_vectors_are_named_with_their_similarity() -> None:
    rows = ["I would like to cancel my order from Monday", "unrelated words", "my parcel has not come yet"]
    tests = {"a": ["I would like to cancel my order from monday please", "x"], "b": ["where is my package?"]}
    found = decontaminate(rows, tests, threshold=0.7)
    assert [(hit.row, hit.test, hit.how) for hit in found.hits] == [(0, "a", "ngram"), (0, "a", "near")]
    assert found.hits[1].similarity == leaks(rows, tests["a"], 0.7).pairs[0][2]
    vectors = np.eye(3)
    other = {"a": np.array([[0, 0, -1.0], [-1, 0, 0]]), "b": np.array([[0, 0.1, 2.0]])}
    found = decontaminate(rows, tests, ngram=None, threshold=None, vectors=vectors, test_vectors=other)
    assert [(hit.row, hit.test, hit.test_row, hit.how) for hit in found.hits] == [(2, "b", 0, "vector")]
    assert "cosine 0.99" in found.hits[0].reason
    assert found.touched["b"].tolist() == [0]


def test_a_planted_test_set_is_found_among_many_rows() -> None:
    dice = random.Random(0)
    known = ["".join(dice.choices("aeioustrnlmdk", k=dice.randint(2, 9))) for _ in range(2000)]
    rows = [" ".join(dice.choices(known, k=dice.randint(5, 60))) for _ in range(5000)]
    test = [" ".join(dice.choices(known, k=dice.randint(20, 40))) for _ in range(200)]
    for place in range(200):
        cut = test[place].split()[2:18]
        rows[place * 25] += " " + " ".join(cut)
    seen: list[int] = []
    found = decontaminate(rows, {"t": test}, progress=seen.append)
    assert found.removed == [place * 25 for place in range(200)]
    assert sum(seen) == 5000
    assert len(found.touched["t"]) == 200


def test_what_cannot_be_is_one_line() -> None:
    with pytest.raises(ConfigError, match="at least one test set"):
        decontaminate(["a"], {})
    with pytest.raises(ConfigError, match="nothing to look for"):
        decontaminate(["a"], {"t": ["b"]}, ngram=None, threshold=None)
    for ngram, shortest, common in ((0, 1, None), (13, 0, None), (13, 8, 0)):
        with pytest.raises(ConfigError):
            decontaminate(["a"], {"t": ["b"]}, ngram=ngram, shortest=shortest, common=common)
    with pytest.raises(DataError, match="1 texts but 2 vectors"):
        decontaminate(["a"], {"t": ["b"]}, vectors=np.eye(2), test_vectors={"t": np.eye(2)[:1]})
    with pytest.raises(DataError, match="no vectors of the test set 't'"):
        decontaminate(["a"], {"t": ["b"]}, vectors=np.eye(2)[:1])
    with pytest.raises(DataError, match="has 1 texts but 2 vectors"):
        decontaminate(["a"], {"t": ["b"]}, vectors=np.eye(2)[:1], test_vectors={"t": np.eye(2)})
    empty = decontaminate([], {"t": []})
    assert (empty.removed, empty.removed_ratio) == ([], 0.0)
