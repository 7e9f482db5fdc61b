"""Names by their letters: as brute force finds them, and whatever was killed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.compete.entities.aliases import AliasIndex, Trigrams, trigrams
from pilotfish.compete.entities.names import normalised

NAMES = [["Barack Obama", "Obama"], ["Michelle Obama"], [], ["Angela Merkel"], ["Paris"], ["Paris", "City of Light"]]


def made(folder: Path, names: list[list[str]] = NAMES) -> AliasIndex:
    index = AliasIndex(folder)
    index.add(names)
    index.settle()
    return index


def grams(name: str) -> set[str]:
    return {f" {name} "[at : at + 3] for at in range(len(name))}


@given(
    st.lists(st.text("abcd ", min_size=1, max_size=9), min_size=1, max_size=8), st.text("abcd ", min_size=1, max_size=9)
)
def test_cosines_are_those_of_sets_of_trigrams(names: list[str], asked: str) -> None:
    def idf(gram: str) -> float:
        holding = sum(gram in grams(name) for name in names)
        return math.log1p((len(names) - holding + 0.5) / (holding + 0.5))

    def length(some: set[str]) -> float:
        return math.sqrt(sum(idf(gram) ** 2 for gram in some))

    wanted = [
        sum(idf(gram) ** 2 for gram in grams(asked) & grams(name)) / (length(grams(asked)) * length(grams(name)))
        for name in names
    ]
    assert Trigrams(names).cosines(asked) == pytest.approx(wanted, abs=1e-5)


def test_trigrams_of_one_name_do_not_reach_into_the_next() -> None:
    buckets, owners = trigrams(["ab", "cd"])
    alone = trigrams(["cd"])[0]
    assert sorted(buckets[owners == 1].tolist()) == sorted(alone.tolist())
    assert len(trigrams([])[0]) == 0 and len(trigrams([""])[0]) == 0


def test_the_nearest_names_come_first(tmp_path: Path) -> None:
    index = made(tmp_path)
    near = index.near("barack  OBAMA", 3)
    assert (near[0].row, near[0].name) == (0, "barack obama") and near[0].score == pytest.approx(1.0)
    assert near[1].row == 1 and near[1].score < 1
    assert index.near("Angla Merkle", 1)[0].row == 3
    assert [one.row for one in index.near("paris", 5)][:2] == [4, 5]  # equal ones by their rows
    assert index.near("zzz", 5) == [] and index.near(" ", 5) == []


def test_initials_are_a_name_that_counts_for_less(tmp_path: Path) -> None:
    index = made(tmp_path, [["World Health Organization"], ["Who"], ["Paris"]])
    assert [(one.row, round(one.score, 3)) for one in index.near("WHO", 3)] == [(1, 1.0), (0, 0.8)]
    assert index.known() == {"world health organization", "who", "paris"}


def test_rank_has_a_row_once(tmp_path: Path) -> None:
    found = made(tmp_path).rank(["Obama", "qqq"], 4)
    rows = [row for row in found.rows[0].tolist() if row >= 0]
    assert rows[0] == 0 and sorted(rows) == sorted(set(rows))
    assert (found.rows[1] == -1).all() and np.isneginf(found.scores[1]).all()


def test_rows_are_forgotten_and_numbers_stay(tmp_path: Path) -> None:
    index = made(tmp_path)
    index.delete([0])
    index.add([["Barack Hussein Obama"]])
    index.settle()
    assert [one.row for one in index.near("Barack Obama", 2)] == [6, 1] and index.rows == 7
    again = AliasIndex(tmp_path)
    again.delete([0])
    again.settle()
    assert again.near("Barack Obama", 2) == index.near("Barack Obama", 2)
    assert again.known() == index.known() and "obama" not in again.known()


def test_what_was_not_committed_is_cut_off(tmp_path: Path) -> None:
    index = made(tmp_path)
    with (tmp_path / "letters.bin").open("ab") as file:
        file.write(b"half a na")
    again = AliasIndex(tmp_path)
    again.add([["Tokyo"]])
    again.settle()
    assert again.rows == index.rows + 1 and again.near("Tokio", 1)[0].name == "tokyo"
    assert again.near("Obama", 1)[0].score == pytest.approx(1.0)


@settings(max_examples=20)
@given(st.lists(st.text(max_size=8), max_size=6))
def test_any_text_is_a_name(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    index = made(tmp_path_factory.mktemp("names"), [[name] for name in names])
    for row, name in enumerate(names):
        if normalised(name):
            found = index.near(name, len(names))
            assert found[0].score == pytest.approx(1.0, abs=1e-5)
            assert row in {one.row for one in found}
