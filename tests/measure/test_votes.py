from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.votes import Votes

PAIRS: Any = [("q", "w")]
TABLES = st.lists(st.lists(st.integers(-1, 2), min_size=3, max_size=3), min_size=1, max_size=8)


@given(TABLES)
@settings(max_examples=40, deadline=None)
def test_a_table_and_its_triples_are_the_same_votes(table: list[list[int]]) -> None:
    dense = Votes.from_table(table, classes=range(3), sources="abc")
    triples = [(i, "abc"[s], one) for i, line in enumerate(table) for s, one in enumerate(line) if one >= 0]
    assert len(dense) == len(triples)
    assert dense.voted.tolist() == [any(one >= 0 for one in line) for line in table]
    counts = [[line.count(c) for c in range(3)] for line in table]
    assert dense.counts.tolist() == counts
    if not triples:
        return
    long = Votes.from_triples(triples[::-1], classes=range(3), names="abc", ids=range(len(table)))
    for name in ("row", "source", "label", "share"):
        assert np.array_equal(getattr(long, name), getattr(dense, name))
    shape = (len(table), 3, 3)
    full = long.table.toarray().reshape(shape)
    assert full.sum(axis=(1, 2)).tolist() == [sum(line) for line in counts]
    assert all(full[i, s, one] == 1 for i, line in enumerate(table) for s, one in enumerate(line) if one >= 0)


def test_words_numbers_and_holes() -> None:
    words = Votes.from_table([["spam", None], [None, "ham"]])
    assert words.classes == ("ham", "spam")
    assert (words.row.tolist(), words.source.tolist(), words.label.tolist()) == ([0, 1], [0, 1], [1, 0])
    # Whole numbers are places where the classes are words; a column with NaN is of floats.
    placed = Votes.from_table(np.array([[1.0, np.nan], [np.nan, 0.0]]), classes=("ham", "spam"))
    assert np.array_equal(placed.label, words.label)
    assert Votes.from_table([[7, -1], [-1, 9]], abstain=9, classes=(-1, 7)).label.tolist() == [1, 0, 0]


def test_soft_votes_keep_their_shares() -> None:
    given = np.full((2, 2, 3), np.nan)
    given[0, 0], given[1, 1], given[0, 1] = [0.2, 0.8, 0.0], [1.0, 0.0, 0.0], [0.25, 0.5, 0.2503]
    votes = Votes.from_soft(given, classes="abc", sources=("x", "y"), ids=["p", "q"])
    assert (len(votes), len(votes.row), votes.hard) == (3, 6, False)
    assert votes.counts.sum(axis=1) == pytest.approx([2, 1])
    assert votes.counts[0] == pytest.approx([0.2 + 0.25 / 1.0003, 0.8 + 0.5 / 1.0003, 0.2503 / 1.0003])
    rows, sources, tops = votes.tops
    assert (rows.tolist(), sources.tolist(), tops.tolist()) == ([0, 0, 1], [0, 1, 1], [1, 1, 0])
    even = Votes.from_soft([[[0.4, 0.4, 0.2]]])
    assert even.tops[2].tolist() == [-1]


def test_hard_and_soft_side_by_side() -> None:
    rules = Votes.from_table([[0, -1], [1, 1]], classes=("no", "yes"), sources=("r", "s"))
    model = Votes.from_soft([[[0.9, 0.1]], [[0.3, 0.7]]], classes=("yes", "no"), sources=("m",))
    both = rules.beside(model)
    assert both.sources == ("r", "s", "m")
    assert len(both) == 5
    assert both.counts[0] == pytest.approx([1.1, 0.9])
    with pytest.raises(DataError, match="source 'r' is on both sides"):
        rules.beside(rules)
    with pytest.raises(DataError, match="same rows"):
        rules.beside(model.take([0]))


def test_parts_of_votes() -> None:
    votes = Votes.from_table([[0, 1, -1], [1, -1, -1], [-1, 0, 1]], sources="abc")
    some = votes.take([2, 0])
    assert (list(some.ids), some.counts.tolist()) == ([2, 0], [[1, 1], [1, 1]])
    assert votes.take(np.array([False, True, False])).counts.tolist() == [[0, 1]]
    two = votes.only(["c", "a"])
    assert (two.sources, len(two), two.rows) == (("c", "a"), 3, 3)
    with pytest.raises(DataError, match="each once"):
        votes.take([0, 0])
    with pytest.raises(DataError, match="no source 'd'"):
        votes.only(["d"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Votes.from_table([[0, 1], [0, 5]], classes=(0, 1), sources="ab"), "row 1, source 'b': 5 is not among"),
        (lambda: Votes.from_table([[0, 1], [0]]), "one column a source"),
        (lambda: Votes.from_table([0, 1]), r"\(rows, sources\)"),
        (lambda: Votes.from_table([[0, 1]], sources="a"), "1 names for 2 sources"),
        (lambda: Votes.from_table([[0, 1]], sources="aa"), "two sources are called 'a'"),
        (lambda: Votes.from_table([[0, 0.5]]), "a class is a word or a whole number, not 0.5"),
        (lambda: Votes.from_table([[0, 0]]), "two classes at least"),
        (lambda: Votes.from_table([[0, 1]], ids=[1, 2]), "2 ids for 1 rows"),
        (lambda: Votes.from_triples([]), "no votes"),
        (lambda: Votes.from_triples(PAIRS), "vote 0: a row, a source and a label"),
        (
            lambda: Votes.from_triples([("q7", "ann", 0), ("q8", "ann", 1), ("q7", "ann", 1)]),
            "row 'q7', source 'ann': more than one vote",
        ),
        (
            lambda: Votes.from_triples([("q", "ann", "x")], classes=("a", "b")),
            "row 'q', source 'ann': 'x' is not among",
        ),
        (lambda: Votes.from_triples([("q", "ann", 0)], classes=(0, 1), ids=["p"]), "row 'q' is not among those given"),
        (lambda: Votes.from_columns([1], [2], []), "a vote has one of each"),
        (
            lambda: Votes.from_soft([[[0.5, 0.6]]], sources=["m"]),
            r"row 0, source 'm': \[0.5, 0.6\] are not probabilities",
        ),
        (lambda: Votes.from_soft([[[np.nan, 1.0]]]), "are not probabilities"),
        (lambda: Votes.from_soft([[[-0.5, 1.5]]]), "are not probabilities"),
        (lambda: Votes.from_soft([[0.5, 0.5]]), r"soft votes are \(rows, sources, classes\)"),
        (lambda: Votes.from_soft([[[0.5, 0.5]]], classes="abc"), "3 classes but probabilities of 2"),
    ],
)
def test_what_is_wrong_is_named(make: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        make()


def test_the_last_word_can_count() -> None:
    votes = Votes.from_triples([("q", "w", 0), ("p", "w", 0), ("q", "w", 1)], repeats="last")
    assert {votes.ids[i]: int(c) for i, c in zip(votes.row, votes.label, strict=True)} == {"q": 1, "p": 0}


def test_gold_by_row_or_by_name() -> None:
    votes = Votes.from_triples([("q", "w", "a"), ("p", "w", "b"), ("r", "w", "a")])
    assert votes.truth(None).tolist() == [-1] * 3
    assert votes.truth({"p": "a"}).tolist() == [-1, 0, -1]
    assert votes.truth(["b", None, float("nan")]).tolist() == [1, -1, -1]
    assert Votes.from_table([[0, 1]]).truth(np.array([-1])).tolist() == [-1]
    for wrong, said in (
        ({"x": "a"}, "gold row 'x' is not among"),
        (["c", None, None], "'c' is not among"),
        (["a"], "1 gold"),
    ):
        with pytest.raises(DataError, match=said):
            votes.truth(wrong)


def test_a_million_votes() -> None:
    dice = np.random.default_rng(0)
    rows, sources = (
        np.repeat(np.arange(200_000), 5),
        dice.integers(0, 400, 1_000_000) * 5 + np.tile(np.arange(5), 200_000),
    )
    start = time.perf_counter()
    votes = Votes.from_columns(rows, sources, dice.integers(0, 4, 1_000_000))
    assert votes.counts.sum() == 1_000_000
    assert time.perf_counter() - start < 10
