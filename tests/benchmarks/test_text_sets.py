"""The sets of the text benchmark: parts that do not meet, draws that are what they say, labels that are joined."""

from __future__ import annotations

from collections import Counter

from benchmarks._text_sets import Set, joined, parted_by_label, sets

ROWS = [(f"text {i} of {i % 4}", str(i % 4)) for i in range(80)]
ONE = Set("one", ROWS, [(f"test {i} of {i % 4}", str(i % 4)) for i in range(40)], {str(i): str(i) for i in range(4)})


def test_the_embedded_set_is_parted() -> None:
    (one,) = sets(None)
    assert not {text for text, _ in one.train} & {text for text, _ in one.test}
    assert set(one.names) == set(one.labels) and len(one.test) > 30


def test_draws_have_so_many_of_each_label() -> None:
    for count in (1, 5, 100):
        drawn = ONE.drawn(count, 0)
        assert Counter(label for _, label in drawn) == {label: min(count, 20) for label in ONE.labels}
        assert len(set(drawn)) == len(drawn) and set(drawn) <= set(ROWS)
    assert ONE.drawn(5, 0) == ONE.drawn(5, 0) != ONE.drawn(5, 1)
    assert ONE.drawn(None, 0) == ROWS


def test_labels_that_are_away_are_away() -> None:
    part, outside = parted_by_label(ONE, 0.25, 0)
    assert len(part.labels) == 3 and len(outside) == 10 and len(part.test) == 30
    assert {label for _, label in part.test} == set(part.labels)
    assert not set(outside) & {text for text, _ in part.test}


def test_rows_of_several_labels_are_joined_of_their_own_part() -> None:
    rows = joined(ONE, 200, 50)
    assert len(rows["train"]) == 200 and len(rows["test"]) == 50
    sizes = Counter(len(row["labels"]) for row in rows["train"])
    assert set(sizes) == {1, 2, 3} and 80 < sizes[1] < 120
    for part, source in (("train", ROWS), ("test", ONE.test)):
        own = dict(source)
        for row in rows[part]:
            words = row["text"].split()
            pieces = [" ".join(words[i : i + 4]) for i in range(0, len(words), 4)]
            assert sorted(own[piece] for piece in pieces) == row["labels"]
    assert joined(ONE, 20, 5) == joined(ONE, 20, 5)
