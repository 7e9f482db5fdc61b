"""Pairs of records, in Ditto's form and in rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.entities.match import Pair, ditto_pairs, pairs_of, serialised
from pilotfish.errors import DataError

word = st.text("abcxyz1 ", max_size=8).map(lambda text: " ".join(text.split()))


def test_a_file_of_dittos(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("COL title VAL red ale COL price VAL  COL abv VAL 5 % \tCOL title VAL ale COL price VAL 3 \t1\n\n")
    (pair,) = ditto_pairs(path)
    assert pair == Pair({"title": "red ale", "price": "", "abv": "5 %"}, {"title": "ale", "price": "3"}, True)
    for line in ("COL a VAL b\tCOL a VAL b\n", "COL a VAL b\tCOL a VAL b\t2\n", "a\tb\t1\n"):
        path.write_text(line)
        with pytest.raises(DataError, match="line 1"):
            ditto_pairs(path)
    with pytest.raises(DataError, match="nowhere"):
        ditto_pairs(tmp_path / "nowhere")


@given(st.dictionaries(st.sampled_from(["name", "price", "first name"]), word, min_size=1), st.booleans())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, record: dict[str, str], same: bool) -> None:
    path = tmp_path_factory.mktemp("pairs") / "pairs.txt"
    path.write_text(f"{serialised(record)}\t{serialised(record)}\t{int(same)}\n")
    assert ditto_pairs(path) == [Pair(record, record, same)]


def test_rows() -> None:
    rows: list[dict[str, Any]] = [
        {"left": {"a": 1, "b": None}, "right": {"a": "x"}, "label": 1},
        {"left_a": "p", "right_a": "q", "label": "0"},
        {"ltable_a": "p", "rtable_a": "q", "label": None},
        {"left_a": "p", "right_a": "q", "label": False},
    ]
    found = pairs_of(rows, "f")
    assert [pair.same for pair in found] == [True, False, None, False]
    assert found[0].left == {"a": "1", "b": ""} and found[2].left == {"a": "p"}
    with pytest.raises(DataError, match="f, row 1: 'label' is 'maybe'"):
        pairs_of([{"left_a": 1, "right_a": 1, "label": "maybe"}], "f")
    with pytest.raises(DataError, match="f, row 1: a pair has 'left' and 'right'"):
        pairs_of([{"left_a": 1}], "f")
